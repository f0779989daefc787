"""Lines of a batch's side files, whole or torn."""

import json

import pytest

from sync_pipeline.batches.reading import cut_torn_line, read_lines


@pytest.mark.parametrize("kept", [0, 1, 3])
@pytest.mark.parametrize("torn", ["", '{"key": "to', "x" * 200_000], ids=["none", "short", "long"])
def test_lines_appended_after_a_torn_one_are_read_back(tmp_path, kept, torn):
    path = tmp_path / "outcomes.jsonl"
    lines = [{"key": str(number)} for number in range(kept)]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + torn, encoding="ascii")
    cut_torn_line(path)
    with path.open("a", encoding="ascii") as file:
        file.write('{"key": "after"}\n')
    assert list(read_lines(path)) == [*lines, {"key": "after"}]


def test_a_file_that_is_not_there_has_nothing_to_cut(tmp_path):
    cut_torn_line(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
