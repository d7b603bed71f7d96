"""Scenarios of signed policies: `leeway policy`, `--sign`, and a gateway that trusts some keys only."""
import base64
import hashlib
import json
import re
import shutil
import signal
import stat
import subprocess

import router_scenarios
from embedding_scenarios import need_model, wait_for
from scenarios import ask
from traffic_scenarios import CHAT
from trial_scenarios import cascade, notes, tune

# PKCS #8 of an X25519 key: as long as one of Ed25519, and it signs nothing.
X25519 = "-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(
    bytes.fromhex("302e020100300506032b656e04220420") + bytes(range(32))).decode() + "\n-----END PRIVATE KEY-----\n"


def run(gateway, *arguments):
    told = subprocess.run([gateway.binary, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return told.returncode, told.stdout, told.stderr


def keygen(gateway, name):
    """(the secret key's file, the public key)"""
    path = gateway.folder / name
    code, out, error = run(gateway, "policy", "keygen", "--output", path)
    assert code == 0, error
    return path, out.strip()


def resealed(head):
    """As anyone can who edits a policy."""
    before = head[:head.rindex(',"seal":"')]
    return before + ',"seal":"' + hashlib.sha256(before.encode()).hexdigest() + '"}'


def trusting(*keys):
    return "policies: {trusted_keys: [" + ", ".join(f'"{key}"' for key in keys) + "]}\n"


def check(gateway):
    code, out, error = run(gateway, "check", "--config", gateway.config)
    return code, out + error


def test_policy_keys_and_signatures(gateway, upstream):
    secret, public = keygen(gateway, "one.key")
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(base64.b64decode(public)) == 32, public
    code, _, error = run(gateway, "policy", "keygen", "--output", secret)
    assert code == 1 and "there already" in error, error
    _, _, policy = tune(gateway, 3000)
    unsigned = policy.read_text()
    code, out, _ = run(gateway, "policy", "show", policy)
    assert code == 0 and "signed by nobody" in out and "certified: at most 3.00 %" in out and out.endswith("it holds\n"), out
    code, text, policy = tune(gateway, 3000, "--sign", str(secret))
    assert code == 0 and f"signed by {public}" in text and "warning" not in text, text
    told = json.loads(policy.read_text())
    assert told["signer"] == public and list(told)[-3:] == ["signer", "signature", "seal"], told
    # What was signed is the text before the signature: another program finds the same.
    if shutil.which("openssl"):
        before = policy.read_text().split(',"signature":"')[0]
        files = [gateway.folder / name for name in ("public.der", "text", "signature")]
        files[0].write_bytes(bytes.fromhex("302a300506032b6570032100") + base64.b64decode(public))
        files[1].write_text(before)
        files[2].write_bytes(base64.b64decode(told["signature"]))
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", files[0], "-rawin", "-in", files[1],
                               "-sigfile", files[2]], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done
    code, out, _ = run(gateway, "policy", "show", policy, "--json")
    shown = json.loads(out)
    assert code == 0 and shown["holds"] and (shown["kind"], shown["signer"], shown["why"]) == ("cascade", public, ""), shown
    assert shown["policy"] == told, shown
    _, other = keygen(gateway, "two.key")
    assert run(gateway, "policy", "show", policy, "--trusted-key", other, "--trusted-key", public)[0] == 0
    code, out, _ = run(gateway, "policy", "show", policy, "--trusted-key", other)
    assert code == 1 and "it does not hold" in out, out
    policy.write_text(unsigned)
    code, out, _ = run(gateway, "policy", "show", policy, "--trusted-key", public, "--json")
    assert code == 1 and not json.loads(out)["holds"] and json.loads(out)["why"] == "nobody signed it", out
    assert run(gateway, "policy", "show", policy, "--trusted-key", "me")[0] == 2


def test_policy_signatures_that_do_not_hold(gateway, upstream):
    secret, public = keygen(gateway, "one.key")
    _, other = keygen(gateway, "two.key")
    code, _, policy = tune(gateway, 3000, "--sign", str(secret))
    whole = policy.read_text()
    signature = json.loads(whole)["signature"]
    for change, why in (((f'"signature":"{signature}"', f'"signature":"{signature[:40]}"'), "was cut"),
                        (('"max_harm":0.03', '"max_harm":0.01'), "its signature does not fit"),
                        ((public, other), "its signature does not fit"), ((public, "me"), "no public key"),
                        ((f'"signature":"{signature}"', f'"signature":"{signature}","max_harm":0.01'), "does not stand at its end"),
                        ((f',"signature":"{signature}"', ""), "does not stand at its end")):
        assert change[0] in whole
        policy.write_text(resealed(whole.replace(*change)) + "\n")
        code, _, error = run(gateway, "policy", "show", policy)
        assert code == 1 and why in error, (change, error)
        code, out, _ = run(gateway, "policy", "show", policy, "--json")
        assert code == 1 and not json.loads(out)["holds"] and why in json.loads(out)["why"], out
    # A gateway refuses such a file though it trusts nobody in particular.
    policy.write_text(whole)
    cascade(gateway, more=f'policy: "{policy}"')
    assert check(gateway)[0] == 0
    policy.write_text(resealed(whole.replace('"max_harm":0.03', '"max_harm":0.01')) + "\n")
    code, text = check(gateway)
    assert code == 1 and "its signature does not fit" in text, text
    # Keys that sign nothing.
    wrong = gateway.folder / "wrong.key"
    for text, why in ((X25519, "X25519, not of Ed25519"), ("", "no private key"), (f"{public}\n", "no private key")):
        wrong.write_text(text)
        wrong.chmod(0o600)
        code, text, _ = tune(gateway, 3000, "--sign", str(wrong))
        assert code == 1 and why in text and "wrong.key" in text, text
    code, text, _ = tune(gateway, 3000, "--sign", str(gateway.folder / "none.key"))
    assert code == 1 and "none.key" in text, text
    secret.chmod(0o644)
    code, text, _ = tune(gateway, 3000, "--sign", str(secret))
    assert code == 0 and "warning: other users can read" in text and "chmod 600" in text, text


def test_policy_of_an_unknown_signer_is_not_used(gateway, upstream):
    secret, public = keygen(gateway, "one.key")
    foreign, other = keygen(gateway, "two.key")
    _, _, policy = tune(gateway, 3000)
    unsigned = policy.read_text()
    _, _, policy = tune(gateway, 3000, "--sign", str(foreign))
    strange = policy.read_text()
    _, _, policy = tune(gateway, 3000, "--sign", str(secret))
    mine = policy.read_text()
    cascade(gateway, more=f'policy: "{policy}"', budgets=trusting(public))
    assert "cascade=kept" in notes(gateway.raw(CHAT, ask("hi", model="support"))[1])
    failed = lambda: float(re.search(r"leeway_config_reloads_failed_total (\d+)", gateway.raw("/metrics", admin=True)[2].decode()).group(1))
    refused = 0
    for text, why in ((unsigned, "nobody signed it"), (strange, f"{other} signed it"), (resealed(mine.replace(public, other)), "does not fit")):
        policy.write_text(text)
        code, told = check(gateway)
        assert code == 1 and why in told, told
        gateway.process.send_signal(signal.SIGHUP)
        refused += 1
        wait_for(lambda: failed() == refused, "the reload was not refused")
        assert "cascade=kept" in notes(gateway.raw(CHAT, ask(f"hi {refused}", model="support"))[1])
    # Nor does it start with one.
    gateway.stop()
    code, _, error = run(gateway, "serve", "--config", gateway.config)
    assert code == 1 and "does not fit" in error, error
    policy.write_text(mine)
    code, told = check(gateway)
    assert code == 0, told
    gateway.config.write_text(gateway.config.read_text().replace(public, public[:-4]))
    code, told = check(gateway)
    assert code == 1 and "is no public key" in told, told


def test_policy_of_a_router_is_signed(gateway, upstream):
    need_model()
    secret, public = keygen(gateway, "one.key")
    path = gateway.folder / "signed.router"
    code, text = router_scenarios.tune(gateway, router_scenarios.outcomes(gateway.folder, 200), path, "--sign", secret)
    assert code == 0 and f"signed by {public}" in text, text
    head, _, numbers = path.read_bytes().partition(b"\n")
    assert json.loads(head)["signer"] == public and len(numbers) == json.loads(head)["numbers"] * 4
    code, out, _ = run(gateway, "policy", "show", path)
    assert code == 0 and f"signed by {public}" in out and "better than single models" in out, out
    one, two, _ = router_scenarios.start(gateway)
    gateway.stop()
    router_scenarios.configure(gateway, one, two, path)
    gateway.config.write_text(gateway.config.read_text() + trusting(public))
    gateway.start()
    assert router_scenarios.send(gateway, router_scenarios.TALK)[0] == "weak"
    path.write_bytes(router_scenarios.policy_of(gateway).read_bytes())
    code, told = check(gateway)
    assert code == 1 and "nobody signed it" in told, told
    path.write_bytes(resealed(head.decode().replace('"enough":true', '"enough":false')).encode() + b"\n" + numbers)
    code, told = check(gateway)
    assert code == 1 and "its signature does not fit" in told, told
