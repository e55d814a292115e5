"""The arrays that `compare diagnose` reads from the user's files."""

import json
from pathlib import Path

from compare.diagnose.load import load_named


def test_a_safetensors_file_is_read_with_its_masks_and_its_bfloat16(tmp_path: Path):
    header = json.dumps(
        {
            "mask": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]},
            "scale": {"dtype": "BF16", "shape": [1], "data_offsets": [2, 4]},
        }
    ).encode()
    path = tmp_path / "inputs.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x01\x00" + b"\xc0\x3f")
    found = load_named(path)
    assert found["mask"].dtype == bool
    assert found["mask"].tolist() == [True, False]
    assert found["scale"].tolist() == [1.5]
