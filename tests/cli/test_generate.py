"""The commands on sets of samples."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from click.testing import CliRunner, Result

from inmateria.cli.generate import COMMANDS
from inmateria.cli.transport import command as group
from inmateria.data.sample_files import chunk_file
from inmateria.data.sample_store import open_store
from inmateria.errors import InMateriaError

CONFIG = """
n_samples = 6
block_size = 4
seed = 3
[gas]
n_x = 24
n_y = 16
source_rows = "4:12"
fermi_mev = 9.0
[disorder]
spacing_nm = [15.0, 25.0]
"""


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, [str(a) for a in arguments])


def said(result: Result) -> str:
    """The one line of an error."""
    assert isinstance(result.exception, InMateriaError), result.output
    return str(result.exception)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "set.toml"
    path.write_text(CONFIG)
    return path


def test_a_set_from_file_to_netcdf(config: Path, tmp_path: Path) -> None:
    first, second, out = (tmp_path / name for name in ("a.zarr", "b.zarr", "all.zarr"))
    result = call("generate", config, "-o", first, "--blocks", "0:1", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "4 samples" in result.output
    assert "1 blocks are missing" in result.output
    assert call("generate", config, "-o", second, "--blocks", "1:2").exit_code == 0
    result = call("verify", first)
    assert result.exit_code == 0
    assert "1 of 2 blocks are not computed: 1" in result.output
    assert "lacks 1 of 2 blocks" in said(call("export", first, tmp_path / "out.nc"))
    result = call("merge", first, second, "-o", out)
    assert result.output.splitlines()[-2:] == ["2 of 2 blocks", str(out)]
    assert "2 of 2 blocks match their digests" in call("verify", out).output
    assert call("export", out, tmp_path / "out.nc").exit_code == 0
    with xr.open_dataset(tmp_path / "out.nc", engine="h5netcdf") as found:
        assert found["pldos"].dims == ("sample", "x", "y")
        assert found["pldos"].attrs["units"] == "1/hopping"
        assert found.sizes["sample"] == 6


def test_damage_is_found_removed_and_made_again(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    call("generate", config, "-o", path, "--workers", 1)
    file = chunk_file(path, "pldos", 1, 3)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    result = call("verify", path)
    assert "block 1 of pldos is damaged" in result.output
    assert "1 of 2 blocks are damaged; remove them with --repair" in said(result)
    assert "1 damaged blocks were removed" in call("verify", path, "--repair").output
    assert open_store(path).missing_blocks() == [1]
    assert call("generate", config, "-o", path, "--workers", 1).exit_code == 0
    assert call("verify", path).exit_code == 0


def test_mistakes_are_one_line(config: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.zarr"
    assert "does not exist" in said(call("generate", tmp_path / "no.toml", "-o", path))
    message = said(call("generate", config, "-o", path, "--blocks", "3"))
    assert message.startswith("--blocks '3' are not FIRST:STOP")
    assert "not a set of samples" in said(call("verify", tmp_path))
    call("generate", config, "-o", path, "--blocks", "0:1")
    config.write_text(CONFIG.replace("seed = 3", "seed = 4"))
    assert "other settings (seed = 3 there, 4 here)" in said(call("generate", config, "-o", path))


def test_help_of_all_is_there() -> None:
    output = call("--help").output
    assert all(name in output for name in COMMANDS)
