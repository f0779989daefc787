import pytest

from sync_pipeline.config.model import Sensor
from sync_pipeline.config.sources import BearerAuth
from sync_pipeline.errors import ConfigError, SourceDataError, SourceError
from sync_pipeline.extract.rest.change_probe import probe_change
from sync_pipeline_tests.extract.api import Reply, serve
from sync_pipeline_tests.extract.sources import config_of


def probe(api, *, json_path=None, headers=None, **config):
    sensor = Sensor(
        type="http_change", url=f"{api.url}/state", json_path=json_path, headers=headers or {}
    )
    return probe_change(config_of(api.url, **config), sensor, variables={"SYNC_TOKEN": "s3cret-1"})


@pytest.mark.parametrize(
    ("before", "after", "is_change"),
    [
        pytest.param({"ETag": '"1"'}, {"ETag": '"1"'}, False, id="same etag"),
        pytest.param({"ETag": '"1"'}, {"ETag": '"2"'}, True, id="other etag"),
        pytest.param({"Last-Modified": "a"}, {"Last-Modified": "b"}, True, id="other date"),
        pytest.param({"ETag": '"1"'}, {"Last-Modified": "b"}, True, id="other validator"),
    ],
)
def test_validators_tell_a_change(before, after, is_change):
    answers = iter([Reply({}, headers=before), Reply({}, headers=after)])
    with serve(lambda request: next(answers)) as api:
        assert (probe(api) != probe(api)) is is_change


@pytest.mark.parametrize(
    ("before", "after", "is_change"),
    [
        pytest.param({"v": {"n": 1}}, {"v": {"n": 1}, "x": 2}, False, id="same value"),
        pytest.param({"v": {"n": 1}}, {"v": {"n": 2}}, True, id="other value"),
        pytest.param({"v": {"n": 1}}, {"v": {"n": "1"}}, True, id="other type"),
    ],
)
def test_a_value_at_a_json_path_tells_a_change(before, after, is_change):
    answers = iter([Reply(before), Reply(after)])
    with serve(lambda request: next(answers)) as api:
        assert (probe(api, json_path="v.n") != probe(api, json_path="v.n")) is is_change


def test_no_validators_is_an_error_that_names_the_remedy():
    with serve(lambda request: Reply({})) as api, pytest.raises(SourceDataError, match="jsonPath"):
        probe(api)


def test_no_value_at_the_path_is_an_error_that_names_it():
    with (
        serve(lambda request: Reply({"a": 1})) as api,
        pytest.raises(SourceDataError, match=r"'v\.n'"),
    ):
        probe(api, json_path="v.n")


def test_a_refused_probe_is_an_error():
    with serve(lambda request: Reply({}, status=403)) as api, pytest.raises(SourceError):
        probe(api)


@pytest.mark.parametrize("url", ["state", "http://[", "http://127.0.0.1:99999/x"])
def test_a_watched_url_that_is_none_names_its_key(url):
    sensor = Sensor(type="http_change", url=url)
    with pytest.raises(ConfigError, match=r"sensor\.url: gives .*no absolute http or https URL"):
        probe_change(config_of("http://127.0.0.1:9"), sensor, variables={})


def test_headers_of_the_sensor_are_templates():
    with serve(lambda request: Reply({}, headers={"ETag": "1"})) as api:
        probe(api, headers={"X-Token": "{{ config.SYNC_TOKEN }}"})
    assert api.requests[0].headers["x-token"] == "s3cret-1"


def test_credentials_of_the_source_go_to_its_own_host_only():
    auth = BearerAuth(type="bearer", token="{{ config.SYNC_TOKEN }}")
    with serve(lambda request: Reply({}, headers={"ETag": "1"})) as api:
        probe(api, auth=auth)
        sensor = Sensor(type="http_change", url=f"{api.url}/state")
        elsewhere = config_of("http://elsewhere.test:1", auth=auth)
        probe_change(elsewhere, sensor, variables={"SYNC_TOKEN": "s3cret-1"})
    assert [request.headers.get("authorization") for request in api.requests] == [
        "Bearer s3cret-1",
        None,
    ]
