"""Go's own reader of transparency logs opens our checkpoint and reads our tiles. Its sources come
with the Go toolchain: no download.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from counterseal.tlog.file_log_store import FileLogStore
from counterseal.tlog.log_signer import LogSigner
from counterseal.tlog.sequencer import Sequencer
from counterseal.tlog.tile_store import CHECKPOINT, DirectoryStore

PROGRAM = r"""
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type dir string

func (dir) Height() int { return 8 }

func (d dir) SaveTiles([]tlog.Tile, [][]byte) {}

func (d dir) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(string(d) + "/" + path)
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func main() {
	data, err := os.ReadFile(os.Args[1] + "/checkpoint")
	check(err)
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	opened, err := note.Open(data, note.VerifierList(verifier))
	check(err)
	var origin, root string
	var tree tlog.Tree
	_, err = fmt.Sscanf(opened.Text, "%s\n%d\n%s\n", &origin, &tree.N, &root)
	check(err)
	tree.Hash, err = tlog.ParseHash(root)
	check(err)
	reader := tlog.TileHashReader(tree, dir(os.Args[1]))
	for i := int64(0); i < tree.N; i++ {
		proof, err := tlog.ProveRecord(tree.N, i, reader)
		check(err)
		entry := tlog.RecordHash([]byte(fmt.Sprintf("entry %d", i)))
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, i, entry))
	}
	for i := int64(1); i < tree.N; i += 97 {
		old, err := tlog.TreeHash(i, reader)
		check(err)
		proof, err := tlog.ProveTree(tree.N, i, reader)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, i, old))
	}
	fmt.Println(origin, tree.N, len(opened.Sigs), len(opened.UnverifiedSigs))
}
"""


@pytest.fixture
def reader(tmp_path):
    """The compiled program, made of the module sources that stand in the toolchain."""
    go = shutil.which("go")
    assert go is not None
    goroot = subprocess.run(
        [go, "env", "GOROOT"], capture_output=True, text=True, check=True
    ).stdout.strip()
    sources = Path(goroot) / "src/cmd/vendor/golang.org/x/mod/sumdb"
    if not (sources / "tlog").is_dir():
        pytest.skip("this Go toolchain is without its sources")
    module = tmp_path / "reader"
    shutil.copytree(sources, module / "mod/sumdb")
    (module / "mod/go.mod").write_text("module golang.org/x/mod\n\ngo 1.24\n")
    (module / "go.mod").write_text(
        "module reader\n\ngo 1.24\n\nrequire golang.org/x/mod v0.0.0\n\n"
        "replace golang.org/x/mod => ./mod\n"
    )
    (module / "main.go").write_text(PROGRAM)
    environment = {
        "PATH": str(Path(go).parent),
        "HOME": str(tmp_path),
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod",
    }
    subprocess.run([go, "build", "-o", "reader", "."], cwd=module, env=environment, check=True)
    return module / "reader"


@pytest.mark.needs("go")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_go_reads_what_we_write(tmp_path, reader):
    keys = (
        Ed25519PrivateKey.from_private_bytes(bytes(32)),
        MLDSA44PrivateKey.from_seed_bytes(bytes(32)),
    )
    signer = LogSigner("chat.example.org/log", *keys)
    blobs = DirectoryStore(tmp_path / "log")
    log = Sequencer.open(
        signer, FileLogStore(tmp_path / "rows"), blobs, [], 0, lambda: 1000, create=True
    )
    size = 0
    for step in (1, 2, 253, 44, 300):
        log.commit([b"entry %d" % i for i in range(size, size + step)])
        size += step
    blobs.write(CHECKPOINT, signer.sign(log.row.checkpoint(), 1000).format())
    told = subprocess.run(
        [reader, tmp_path / "log", signer.keys.ed25519.text()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == "chat.example.org/log 600 1 1\n"
