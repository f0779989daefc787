from pathlib import Path

import pytest

from sync_pipeline.config.loading import key_of, load_configs
from sync_pipeline.config.pagination import resolve_pagination
from sync_pipeline.errors import ConfigError

GOOD = """
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
mapping: {id: "{{ row.id }}"}
"""
CONFIGS = Path(__file__).parents[2] / "configs"


def test_a_broken_file_does_not_take_the_others_down(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "also-good.yml").write_text(GOOD)
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "latin.yaml").write_bytes(b"\xe9: 1")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    loaded = load_configs(tmp_path)
    assert list(loaded.configs) == ["also_good", "good"]
    assert set(loaded.errors) == {"broken", "latin", "folder", "gone"}
    for key, error in loaded.errors.items():
        assert f"{key}.yaml" in str(error)


def test_only_visible_yaml_files_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "good.YAML").write_text(GOOD)
    (tmp_path / ".hidden.yaml").write_text("a: [")
    (tmp_path / "notes.txt").write_text("a: [")
    (tmp_path / "old.yaml.bak").write_text("a: [")
    loaded = load_configs(tmp_path)
    assert list(loaded.configs) == ["good"]
    assert loaded.errors == {}


@pytest.mark.parametrize("other", ["my_sync.yaml", "my-sync.yml"])
def test_files_with_one_key_are_both_refused(tmp_path: Path, other: str) -> None:
    (tmp_path / "my-sync.yaml").write_text(GOOD)
    (tmp_path / other).write_text(GOOD)
    loaded = load_configs(tmp_path)
    assert loaded.configs == {}
    assert "my-sync.yaml" in str(loaded.errors["my_sync"])
    assert other in str(loaded.errors["my_sync"])
    assert "rename all but one" in str(loaded.errors["my_sync"])


def test_a_missing_directory_is_told_with_the_variable_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SYNC_CONFIGS_DIR"):
        load_configs(tmp_path / "nowhere")


def test_a_hyphen_in_a_file_name_becomes_an_underscore() -> None:
    assert key_of(Path("a/data-user-2.yaml")) == "data_user_2"


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("my products.yaml", "my_products.yaml"),
        ("a.b.yaml", "a_b.yaml"),
        ("café.yaml", "caf.yaml"),
        ("日本.yaml", "products.yaml"),
    ],
)
def test_a_file_name_that_dagster_cannot_take_is_refused(name: str, suggestion: str) -> None:
    with pytest.raises(ConfigError, match="rename it") as caught:
        key_of(Path(name))
    assert str(caught.value).endswith(suggestion)


def test_the_configs_of_this_project_load_without_any_variable(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("SYNC_PRODUCTS_URL", raising=False)
    monkeypatch.delenv("SYNC_DEMO_URL", raising=False)
    loaded = load_configs(CONFIGS)
    assert loaded.errors == {}
    assert {"airports", "data_user", "products"} <= loaded.configs.keys()
    assert caplog.records == []


def test_the_airports_are_paged_by_offset_with_a_total() -> None:
    airports = load_configs(CONFIGS).configs["airports"]
    paging = resolve_pagination(airports)
    assert (paging.style, paging.page_size, paging.total_path) == ("offset", 1000, "total")
    assert airports.target.space == "local"
    assert airports.mode == "streaming"
