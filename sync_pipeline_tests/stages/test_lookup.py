"""What templates ask of the space costs requests once a run, however many batches ask."""

from __future__ import annotations

import pytest

from sync_pipeline_tests.harness.project import MAPPING, Project

LOOKING_UP = {
    **MAPPING,
    "grade": "{{ 'A' if cute.entries_exist('product', 'name', row.name) else 'B' }}",
    "stock": "{{ cute.entries_count('product', 'sku', 'old') + row.stock }}",
}


@pytest.mark.parametrize("batch_size", [5, 40])
def test_a_content_type_is_read_once_a_run(project: Project, batch_size: int) -> None:
    project.write_config(mapping=LOOKING_UP)
    project.space.put_entry("old", {"sku": "old", "name": "Product 3"}, publish=True)
    assert project.apply(batch_size=batch_size).is_success
    asked = [
        request
        for request in project.space.requests
        if project.space.short(request) == "/entries"
        and ("order", "fields.name,sys.id") in request.parameters
    ]
    assert len(asked) == 1
    grades = {key: fields.get("grade") for key, (fields, _) in project.space.entries().items()}
    assert [key for key, grade in grades.items() if grade == {"en-US": "A"}] == ["P0003"]
