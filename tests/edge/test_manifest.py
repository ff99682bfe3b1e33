from pathlib import Path

import pytest

from api_shim.edge.manifest import read_app_folder, slug_of
from e80sim.mistakes import UserError

DOCUMENTED = """\
entrypoint: handlers.main:app
organization_slug: your-organization
project: examples
project_slug: examples
cpu_mhz: 500
gpu_count: 0
memory_size_mb: 1024
"""
IN_TOML = """\
project = "My Chat"
organization_slug = "us"
entrypoint = "main:app"
memory_size_mb = 256

[env_vars]
GREETING = "hello"

[env_secrets]
TOKEN = "token-of-search"
"""


def write(folder: Path, text: str, name: str = "8080.yaml") -> Path:
    (folder / name).write_text(text)
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        read_app_folder(folder)
    return str(error.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("name", ["8080.yaml", "8080.yml"])
def test_the_documented_manifest_is_read_under_both_names(tmp_path: Path, name: str) -> None:
    app = read_app_folder(write(tmp_path, DOCUMENTED, name))
    assert (app.folder, app.file) == (tmp_path, tmp_path / name)
    assert app.manifest.entrypoint == "handlers.main:app"
    assert (app.manifest.cpu_mhz, app.manifest.memory_size_mb) == (500, 1024)
    assert (app.manifest.slug, app.warnings) == ("examples", ())


def test_a_manifest_in_toml_goes_before_one_in_yaml(tmp_path: Path) -> None:
    app = read_app_folder(write(write(tmp_path, IN_TOML, "8080.toml"), DOCUMENTED))
    assert app.file.name == "8080.toml"
    assert app.manifest.slug == "my-chat"
    assert app.manifest.env_vars == {"GREETING": "hello"}
    assert app.manifest.env_secrets == {"TOKEN": "token-of-search"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "8080.yaml",
            DOCUMENTED.replace("cpu_mhz: 500", "cpu_mhz: fast"),
            "5: `cpu_mhz` is 'fast': it must be a number",
        ),
        (
            "8080.yaml",
            DOCUMENTED.replace("cpu_mhz: 500", "cpu_mhz: 0"),
            "5: `cpu_mhz` is 0: it must be more than 0",
        ),
        (
            "8080.yaml",
            DOCUMENTED.replace("count: 0", "count: 2"),
            "6: `gpu_count`: 2 asked for, and applications have none here; set it to 0",
        ),
        (
            "8080.yaml",
            DOCUMENTED.replace(":app", ".app"),
            "1: `entrypoint`: 'handlers.main.app' is no entrypoint; write it as module.path:variable",
        ),
        ("8080.yaml", DOCUMENTED.replace("entrypoint", "entry_point"), "1: `entrypoint` is missing; "),
        (
            "8080.yaml",
            DOCUMENTED + "env_vars:\n  PORT: 8080\n",
            "9: `env_vars.PORT` is 8080: it must be text, in quotes",
        ),
        ("8080.yaml", DOCUMENTED + "project: other\n", "8: `project` stands here a second time"),
        ("8080.yaml", DOCUMENTED + "project_slug: [a", "9: this is not YAML: did not find expected"),
        (
            "8080.yaml",
            "- a list\n",
            " a manifest is a mapping of fields such as `project` and `entrypoint`, and this is not one",
        ),
        (
            "8080.toml",
            IN_TOML.replace("256", '"256"'),
            "4: `memory_size_mb` is '256': it must be a whole number",
        ),
        (
            "8080.toml",
            IN_TOML.replace('"hello"', "1"),
            "7: `env_vars.GREETING` is 1: it must be text, in quotes",
        ),
        ("8080.toml", IN_TOML.replace('"us"', "us"), "2: this is not TOML: Invalid value"),
    ],
)
def test_a_broken_manifest_is_told_with_file_line_and_field(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    assert complaint(write(tmp_path, text, name)).startswith(f"{name}:{says}")


def test_a_misspelt_field_is_named_beside_what_is_missing(tmp_path: Path) -> None:
    told = complaint(write(tmp_path, DOCUMENTED.replace("project:", "projekt:")))
    assert "`project` is missing" in told
    assert told.endswith("8080.yaml:3: `projekt` means nothing here; did you mean `project`?")


def test_a_slug_has_to_be_a_label_of_a_host_name(tmp_path: Path) -> None:
    assert "`project_slug`" in complaint(
        write(tmp_path, DOCUMENTED.replace("slug: examples", "slug: My_App"))
    )
    assert [slug_of(name) for name in ("My Chat", "Über 2", "***", "a" * 70)] == [
        "my-chat",
        "ber-2",
        "app",
        "a" * 63,
    ]


def test_an_unknown_field_is_a_warning_with_its_line(tmp_path: Path) -> None:
    app = read_app_folder(write(tmp_path, DOCUMENTED + "memory_mb: 12\n"))
    assert app.warnings == (
        f"{tmp_path}/8080.yaml:8: `memory_mb` means nothing here; did you mean `memory_size_mb`?",
    )


def test_a_folder_without_a_manifest_is_told_what_it_lacks(tmp_path: Path) -> None:
    assert complaint(tmp_path).endswith("it has none of 8080.toml, 8080.yaml, 8080.yml")
    assert complaint(tmp_path / "gone").endswith("gone: there is no such folder")
