import logging
from pathlib import Path

import pytest

from sync_pipeline.config.loading import load_config, parse_config
from sync_pipeline.config.model import SyncConfig
from sync_pipeline.errors import ConfigError

OURS = """
sourceType: restapi
endPoint: "https://api.example.com/data"
contentType: product
contentKeyField: id
pagination: {limitKey: limit, skipKey: offset, limitMax: 1000}
mapping:
  "id": "{{ row.id }}"
  "name.en": "{{ row.name }}"
"""

OURS_SNAKE = """
source_type: restapi
end_point: "https://api.example.com/data"
content_type: product
content_key_field: id
pagination: {limit_key: limit, skip_key: offset, limit_max: 1000}
mapping:
  - {field_name: "id", expression: "{{ row.id }}"}
  - {field_name: "name.en", expression: "{{ row.name }}"}
"""

#: The sample of the memory optimization guide, to the letter (trailing blank included).
IN_A_BLOCK = """# cuteContentSyncApi entry
sourceType: restapi
contentKeyField: id
yaml: |
  endPoint: "https://api.example.com/data"
  contentType: "product"
  pagination:
    limitKey: "limit"
    skipKey: "offset"\x20
    limitMax: 1000
  mapping:
    "id": "{{ row.id }}"
    "name.en": "{{ row.name }}"
"""

ORIGINAL = """
id: whatever
key: whatever
order: null
sourceType: RestApi
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
httpMethod: Get
pagination:
    limitKey: limit
    skipKey: offset
    limitMax: 1000
mapping:
    - fieldName: id
      expression: '{{ row.id }}'
      overwrite: true
    - fieldName: name.en
      expression: '{{ row.name }}'
      overwriteNull: false
"""

DATA_USER_DB = """
contentType: user
contentKeyField: "id.en"
contentDisplayField: "name.en"

provider: sqlserver

connectionString: Server=localhost,1433;Database=CuteDemo;User Id=sa;Password={{config.Cute__P}};

query: SELECT [Id], [UserName] FROM [dbo].[User];

mapping:
    - fieldName: id.en
      expression: '{{ row.Id }}'
    - fieldName: userName.en
      expression: '{{ row.UserName }}'
"""

MINIMAL = """
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
mapping: {{id: "{{{{ row.id }}}}"}}
{rest}
"""


def parse(text: str) -> SyncConfig:
    config, _ = parse_config(text, key="products")
    return config


def with_minimal(rest: str) -> SyncConfig:
    return parse(MINIMAL.format(rest=rest))


@pytest.mark.parametrize(
    "text", [OURS_SNAKE, IN_A_BLOCK, ORIGINAL], ids=["snake", "in a block", "original"]
)
def test_every_dialect_means_the_same_sync(text: str) -> None:
    assert parse(text) == parse(OURS)


def test_the_sync_of_all_dialects_holds_what_the_file_says() -> None:
    config = parse(IN_A_BLOCK)
    assert config.key == "products"
    assert config.content_type == "product"
    assert config.key_field_id == "id"
    assert config.pagination is not None
    assert config.pagination.limit_max == 1000
    assert [(rule.field_name, rule.expression) for rule in config.mapping] == [
        ("id", "{{ row.id }}"),
        ("name.en", "{{ row.name }}"),
    ]


def test_a_yaml_block_may_be_keys_and_values_instead_of_text() -> None:
    assert parse(IN_A_BLOCK.replace("yaml: |", "yaml:")) == parse(OURS)


def test_an_empty_yaml_block_says_nothing() -> None:
    assert parse(OURS + "yaml:\n") == parse(OURS)


def test_a_key_may_stand_inside_and_outside_of_the_block_if_both_agree() -> None:
    assert parse(IN_A_BLOCK + "  contentKeyField: id\n") == parse(OURS)


def test_the_database_sample_of_the_original_loads_and_infers_its_source_type() -> None:
    config = parse(DATA_USER_DB)
    assert config.source_type == "database"
    assert config.provider == "sqlserver"
    assert config.query == "SELECT [Id], [UserName] FROM [dbo].[User];"


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("postgresql://u@h/db", "postgresql"),
        ("postgres://u@h/db", "postgresql"),
        ("postgresql+psycopg://u@h/db", "postgresql"),
        ("mysql+pymysql://u@h/db", "mysql"),
        ("mariadb://u@h/db", "mysql"),
        ("mssql+pymssql://u@h/db", "sqlserver"),
        ("sqlite:///data.db", "sqlite"),
    ],
)
def test_the_provider_is_inferred_from_an_sqlalchemy_url(url: str, provider: str) -> None:
    text = f"contentType: a\ncontentKeyField: id\nmapping: {{id: x}}\nquery: q\nconnectionString: {url}"
    assert parse(text) == parse(f"{text}\nprovider: {provider}\nsourceType: database")


def test_a_full_file_of_the_original_loads() -> None:
    config = parse("""
contentType: city
contentKeyField: key.en
endPoint: https://api.example.com/{{ dataCountry.code.en }}
httpMethod: POST
headers: {Content-Type: application/x-www-form-urlencoded}
formUrlEncodedContent:
    token: '{{ config.Cute__Token }}'
    page: 1
continuationTokenHeader: X-Next
resultsFormat: ZIPPEDCSV
resultsSecret: '{{ config.Cute__Zip }}'
resultsTotalPagesPath: meta.pages
filterExpression: '{{ row.active }}'
enumerateForContentTypes:
    - contentType: dataCountry
      queryParameters: fields.active=true
      filter: '{{ dataCountry.code.en != "" }}'
preMapping:
    - varName: slug
      expression: '{{ row.name | string.downcase }}'
mapping:
    - fieldName: key.en
      expression: '{{ var.slug }}'
    - fieldName: tags.en[]
      expression: '{{ row.tags }}'
      overwriteNull: true
""")
    assert config.http_method == "post"
    assert config.results_format == "zippedCsv"
    assert config.form_url_encoded_content["page"] == "1"
    assert config.enumerate_for_content_types[0].query_parameters == "fields.active=true"
    assert config.pre_mapping[0].var_name == "slug"
    assert [rule.overwrite_null for rule in config.mapping] == [False, True]


def test_pre_mapping_may_be_a_dict_of_names_to_expressions() -> None:
    as_dict = with_minimal("preMapping: {a: '{{ row.a }}', b: 1}")
    as_list = with_minimal(
        "preMapping: [{varName: a, expression: '{{ row.a }}'}, {varName: b, expression: '1'}]"
    )
    assert as_dict == as_list


def test_a_line_of_a_mapping_dict_may_hold_overwrite_null() -> None:
    config = parse("""
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
mapping:
  id: {expression: "{{ row.id }}", overwrite: false}
  name.en: {expression: "{{ row.name }}", overwriteNull: yes}
""")
    assert [rule.overwrite_null for rule in config.mapping] == [False, True]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("7", "7"), ("007", "007"), ("1.50", "1.50"), ("1e3", "1e3"), ("true", "true"),
        ("yes", "yes"), ("2024-01-02", "2024-01-02"), ("12:30", "12:30"), ("0x10", "0x10"),
        ("+44", "+44"), ("''", ""), ("'null'", "null"), (".5", ".5"), ("1_000", "1_000"),
    ],
)  # fmt: skip
def test_an_unquoted_value_becomes_the_text_as_written(written: str, text: str) -> None:
    config = parse(f"""
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
mapping: {{id: {written}}}
""")
    assert config.mapping[0].expression == text


def test_keys_that_yaml_1_1_takes_for_booleans_stay_text() -> None:
    config = with_minimal("headers: {no: a, on: b, 1: c}")
    assert config.headers == {"no": "a", "on": "b", "1": "c"}


def test_values_of_sample_rows_and_bodies_are_typed_as_in_json() -> None:
    config = with_minimal(
        "httpMethod: post\njsonBody: {a: 1, b: [true, null, 1.5, yes, 2024-01-02, 007]}\n"
        "tests: [{row: {x: 1, y: null}, expect: {id: '1'}}]"
    )
    assert config.json_body == {"a": 1, "b": [True, None, 1.5, "yes", "2024-01-02", "007"]}
    assert config.tests[0].row == {"x": 1, "y": None}


@pytest.mark.parametrize(
    ("rest", "attribute", "expected"),
    [
        ("resultsFormat: zippedcsv", "results_format", "zippedCsv"),
        ("resultsFormat: zipped_csv", "results_format", "zippedCsv"),
        ("mode: Streaming", "mode", "streaming"),
        ("publish: NONE", "publish", "none"),
        ("batchSize: AUTO", "batch_size", "auto"),
        ("batchSize: '500'", "batch_size", 500),
        ("retries: 0", "retries", 0),
        ("timeoutS: 2.5", "timeout_s", 2.5),
        ("timeoutS: null", "timeout_s", 60),
        ("stream: off", "stream", False),
        ("stream: False", "stream", False),
        ("headers:", "headers", {}),
        ("preMapping:", "pre_mapping", ()),
    ],
)
def test_values_are_read_with_tolerance(rest: str, attribute: str, expected: object) -> None:
    assert getattr(with_minimal(rest), attribute) == expected


def test_the_key_field_is_not_looked_for_among_templates_of_field_names() -> None:
    config = parse("""
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
mapping: {"{{ row.kind }}.en": "{{ row.value }}"}
""")
    assert config.mapping[0].field_name == "{{ row.kind }}.en"


def test_a_block_of_comments_says_nothing() -> None:
    assert parse(OURS + "yaml: |\n  # nothing\n") == parse(OURS)


@pytest.mark.parametrize("written", ["tab", "'\\t'", '"\\t"'])
def test_a_tab_can_be_named_as_delimiter(written: str) -> None:
    config = with_minimal(f"resultsFormat: csv\ncsv: {{delimiter: {written}}}")
    assert config.csv.delimiter == "\t"


def test_auth_types_are_told_apart_ignoring_case() -> None:
    config = with_minimal(
        "auth: {type: apiKey, name: X-Key, value: '{{ config.SYNC_K }}', in: Query}"
    )
    assert config.auth is not None
    assert config.auth.model_dump() == {
        "type": "api_key", "name": "X-Key", "value": "{{ config.SYNC_K }}", "location": "query",
    }  # fmt: skip


def test_anchors_and_merge_keys_work() -> None:
    config = parse("""
contentType: product
contentKeyField: id
endPoint: https://api.example.com/data
headers: &shared {Accept: application/json, X-A: one}
mapping: {id: x}
sensor:
  type: http_change
  url: https://api.example.com/data
  headers: {<<: *shared, X-A: two}
""")
    assert config.sensor is not None
    assert config.sensor.headers == {"Accept": "application/json", "X-A": "two"}


def test_what_is_accepted_without_effect_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "products.yaml"
    path.write_text(ORIGINAL + "continuationTokenHeader: X-Next\nresultsSecret: abc\n")
    with caplog.at_level(logging.WARNING):
        load_config(path)
    text = caplog.text
    assert "`overwrite` is ignored" in text
    assert "`key` is ignored" in text
    assert "`continuationTokenHeader` is not used" in text
    assert "`resultsSecret` is not used" in text
    assert str(path) in text


def test_a_number_of_pages_without_pagination_is_told() -> None:
    _, notices = parse_config(
        OURS.replace("pagination", "resultsTotalPagesPath: a\ntests: [] #"), key="a"
    )
    assert notices == ["`resultsTotalPagesPath` is not used: there is no `pagination`"]


def test_a_file_without_oddities_is_loaded_silently(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "products.yaml"
    path.write_text(f"key: products\n{OURS}")
    load_config(path)
    assert caplog.records == []


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "products.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + OURS.strip().encode())
    assert load_config(path).content_type == "product"


def test_a_config_cannot_be_changed() -> None:
    config = parse(OURS)
    with pytest.raises(ValueError, match="frozen"):
        config.content_type = "other"  # type: ignore[misc]


def test_pydantic_errors_do_not_repeat_the_input() -> None:
    with pytest.raises(ValueError, match="connection") as caught:
        SyncConfig.model_validate({"key": "a", "connection_string": ["hunter2"]})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError) as refused:
        with_minimal("connectionString: [hunter2]")
    assert "hunter2" not in str(refused.value)
