#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hub's cache is shared with huggingface_hub: what forja fetched Python opens without a network, and the other way round.

Usage: hub.py FORJA   from the repository's root; compiles and runs the tests' hub; needs huggingface_hub and transformers
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.pop(0)  # tokenizers.py beside this file is not the package
forja = pathlib.Path(sys.argv[1]).resolve()
with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    (work / "root").mkdir()
    shutil.copytree("tests/golden/talker", work / "root" / "model")
    subprocess.run(["cc", "-std=c17", "-D_DEFAULT_SOURCE", "-O1", "-Itests", "-o", work / "hub", "tests/e2e/hub.c", "tests/hub_server.c",
                    "-lcrypto", "-lpthread"], check=True)
    server = subprocess.Popen([work / "hub", work / "root", work / "log", work / "port"], stdin=subprocess.PIPE)
    while not (work / "port").exists() or not (work / "port").read_text().endswith("\n"):
        time.sleep(0.1)
    for name in ("HF_TOKEN", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE"):
        os.environ.pop(name, None)
    os.environ.update(HF_ENDPOINT="http://127.0.0.1:" + (work / "port").read_text().strip(), HF_HOME=str(work / "home"), HF_HUB_DISABLE_XET="1",
                      HF_HUB_DISABLE_TELEMETRY="1")
    import huggingface_hub
    import transformers

    files = sorted(p.name for p in (work / "root" / "model").iterdir())
    run = lambda *args, **env: subprocess.run([forja, *args], check=True, capture_output=True, text=True, env={**os.environ, **env}).stdout

    pulled = json.loads(run("pull", "hf:plain/model", "--json"))
    assert sorted(pulled["files"]) == files, pulled
    for name in files:
        path = huggingface_hub.hf_hub_download("plain/model", name, local_files_only=True)
        assert pathlib.Path(path).parent == pathlib.Path(pulled["path"]), path
        assert pathlib.Path(path).read_bytes() == (work / "root" / "model" / name).read_bytes()
    assert huggingface_hub.snapshot_download("plain/model", local_files_only=True) == pulled["path"]
    cache = huggingface_hub.scan_cache_dir()
    assert not cache.warnings and {r.repo_id for r in cache.repos} == {"plain/model"}, cache
    assert [r.commit_hash for repo in cache.repos for r in repo.revisions] == [pulled["commit"]]
    tokenizer = transformers.AutoTokenizer.from_pretrained("plain/model", local_files_only=True)
    model = transformers.AutoModelForCausalLM.from_pretrained("plain/model", local_files_only=True)
    theirs = model.generate(tokenizer("S", return_tensors="pt").input_ids, max_new_tokens=4, do_sample=False)[0].tolist()
    ours = json.loads(run("run", "hf:plain/model", "-p", "S", "--temp", "0", "-n", "4", "--json", "-q"))
    assert theirs == ours["prompt_ids"] + ours["ids"], (theirs, ours)

    for name in files:
        huggingface_hub.hf_hub_download("bare/model", name)
    assert run("run", "hf:bare/model", "-p", "S", "--temp", "0", HF_HUB_OFFLINE="1") == "alud, ñ!\n"
    again = json.loads(run("pull", "hf:bare/model", "--json"))
    assert again["fetched_bytes"] == 0 and sorted(again["files"]) == files, again
    server.stdin.close()
    server.wait()
print("huggingface_hub", huggingface_hub.__version__, "and forja read each other's cache")
