"""Looks at a certificate and its key, keeps copies of their files, and puts those back.

`look` changes nothing; with `wait` (seconds) it looks until the service presents `awaited`. Copies lie beside the files
as <file>.triage-<run>, for the same eyes only; a later run takes away those of an earlier one.
"""

import hashlib
import os
import re
import socket
import ssl
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

ANSWERS_WITHIN = 5.0
BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
COPY = re.compile(r"\.triage-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIMES = {"notBefore": "not_before", "notAfter": "not_after"}


def fingerprint(path: str) -> str:
    """Return the sha256 of the first certificate in the file; empty where there is none."""
    block = BLOCK.search(Path(path).read_bytes())
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(block.group().decode("ascii"))).hexdigest() if block else ""


def described(module: Any, path: str) -> dict[str, Any]:
    """Return names and times of the first certificate in the file, as openssl reads it."""
    openssl = module.get_bin_path("openssl", required=True)
    wanted = ["-noout", "-subject", "-nameopt", "RFC2253", "-startdate", "-enddate", "-ext", "subjectAltName"]
    code, out, error = module.run_command([openssl, "x509", "-in", path, *wanted])
    if code:
        raise ValueError(error.strip()[:200])
    found: dict[str, Any] = {"names": []}
    for line in out.splitlines():
        name, _, value = line.partition("=")
        if name in TIMES:
            found[TIMES[name]] = int(ssl.cert_time_to_seconds(value))
        elif name == "subject" and value.strip():
            found["names"].append("subject " + value.strip())
        elif line.startswith(" "):
            found["names"] += [entry.strip() for entry in line.split(",")]
    found["names"].sort()
    return found


def key_problem(certificate: str, key: str) -> str:
    """Return why certificate and key do not belong together, or an empty text."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")  # an old, weak key is a reason to renew
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        return f"certificate and key do not belong together: {getattr(error, 'reason', '') or error}"
    return ""


def presented(address: str, server_name: str) -> str:
    """Return the sha256 of the certificate that the service presents; empty where it presents none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # an expired one is what we came for: it is compared, not trusted
    host, _, port = address.rpartition(":")
    try:
        plain = socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS_WITHIN)
        with plain, context.wrap_socket(plain, server_hostname=server_name or None) as wrapped:
            return hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()
    except (OSError, ValueError):
        return ""


def look(module: Any) -> dict[str, Any]:
    """Return what is there now. problem: why it can't be used; the rest then says nothing."""
    given, now = module.params, time.time()
    state: dict[str, Any] = {"problem": "", "fingerprint": "", "served": "", "links": {}}
    try:
        state["links"] = {path: link for path in paths(given) if (link := link_of(Path(path)))}
        state["fingerprint"] = fingerprint(given["certificate"])
        state.update(described(module, given["certificate"]))
    except (OSError, ValueError) as error:
        state["problem"] = f"the certificate cannot be read: {error}"
        return state
    state["problem"] = key_problem(given["certificate"], given["key"])
    state["age"] = int(now - state["not_before"])
    state["days"] = int((state["not_after"] - now) // 86400)
    state["until"] = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(state["not_after"]))
    give_up = time.monotonic() + given["wait"]
    while given["address"]:
        state["served"] = presented(given["address"], given["server_name"])
        if not given["wait"] or state["served"] == (given["awaited"] or state["fingerprint"]):
            break
        if time.monotonic() > give_up:
            break
        time.sleep(0.25)
    return state


def paths(given: dict[str, Any]) -> list[str]:
    """Return every file that renewing may write, each once."""
    return list(dict.fromkeys([given["certificate"], given["key"], *given["also"]]))


def link_of(path: Path) -> str:
    """Return where a link leads, as it stands in it; empty for a plain file."""
    return str(path.readlink()) if path.is_symlink() else ""


def write(path: Path, like: Path, data: bytes) -> None:
    """Write a new file with the owner and the rights of another; none may be there already, nor a link."""
    status = like.stat()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fchown(handle, status.st_uid, status.st_gid)
        os.fchmod(handle, status.st_mode & 0o777)
        os.fsync(handle)


def keep(given: dict[str, Any]) -> None:
    """Copy every file beside itself."""
    for path in map(Path, paths(given)):
        for other in path.parent.iterdir():
            if other.name.startswith(path.name) and COPY.fullmatch(other.name[len(path.name) :]):
                other.unlink()
        write(path.with_name(path.name + given["copy"]), path, path.read_bytes())


def put_back(given: dict[str, Any], links: dict[str, str]) -> bool:
    """Put every file and link back as it was kept; say whether anything was another."""
    changed = False
    for path in map(Path, paths(given)):
        copy = path.with_name(path.name + given["copy"])
        if not copy.exists():
            continue  # it was not kept, so nothing after that was done either
        link = links.get(str(path), "")
        if link and link_of(path) != link:
            temporary = path.with_name(copy.name + ".new")
            temporary.symlink_to(link)
            temporary.replace(path)
            changed = True
        whole = path.resolve() if link else path
        if whole.is_symlink() or not whole.exists() or whole.read_bytes() != copy.read_bytes():
            temporary = whole.with_name(copy.name + ".new")
            write(temporary, copy, copy.read_bytes())
            temporary.replace(whole)
            changed = True
    return changed


def main() -> None:
    """Answer Ansible."""
    spec: dict[str, Any] = {
        "do": {"choices": ["look", "keep", "put_back"], "default": "look"},
        "certificate": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": False},
        "also": {"type": "list", "elements": "str", "default": []},
        "address": {"type": "str", "default": ""},
        "server_name": {"type": "str", "default": ""},
        "wait": {"type": "float", "default": 0},
        "awaited": {"type": "str", "default": ""},
        "run": {"type": "str", "default": ""},
        "links": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    do = module.params["do"]
    if do == "look":
        module.exit_json(changed=False, state=look(module))
    module.params["copy"] = ".triage-" + module.params["run"]
    if not COPY.fullmatch(module.params["copy"]):
        module.fail_json(msg="run must be the run's id")
    try:
        if do == "keep":
            if not module.check_mode:
                keep(module.params)
            module.exit_json(changed=True)
        module.exit_json(changed=not module.check_mode and put_back(module.params, module.params["links"]))
    except OSError as error:
        module.fail_json(msg=f"the files could not be {'kept' if do == 'keep' else 'put back'}: {error}")


if __name__ == "__main__":
    main()
