"""Hostile values: each would touch a file of its own and connect to a port, if anything read it as more than a text.

Made from ways to be read (a shell, a template, a document, a query ...) times ways to act, in an order that a seed
decides; a number of them is always the same.
"""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

COMMANDS = (
    "touch {file}; exec 3<>/dev/tcp/127.0.0.1/{port}",
    "touch${{IFS}}{file}",
    "touch {file}",
    "bash -c 'echo x > {file}; echo x > /dev/tcp/127.0.0.1/{port}'",
    'python3 -c \'import socket; open("{file}", "w"); socket.create_connection(("127.0.0.1", {port}))\'',
    "cp /dev/null {file}",
)
SHELL = (
    "$({x})", "`{x}`", "; {x} #", "| {x}", "|| {x}", "& {x} &", "&& {x}", "\n{x}\n", "x\r\n{x}\r\n", "'; {x}; '",
    '"; {x}; "', "' \"$({x})\" '", "<({x})", ">({x})", "${{x:-$({x})}}", "a;{x}", "a\n{x}", "$(({x}))", "\x0b{x}\x0c",
    "x' || {x} || '", "\\`{x}\\`", "\u2028{x}\u2029", "\u0085{x}\u0085", "ｘ；{x}", "\uff04({x})", "\u037e {x}", "~/$({x})",
    "{x}", "sh -c '{x}'", "() {{ :; }}; {x}", "eval {x}", ". /dev/stdin <<< '{x}'", "x=$({x}) y",
)  # fmt: skip
TEMPLATES = (
    "{{{{ lookup('pipe', '{x}') }}}}", "{{{{lookup('pipe','{x}')}}}}", "{{{{- lookup('pipe', '{x}') -}}}}",
    "{{{{\u00a0lookup('pipe', '{x}')\u00a0}}}}", "{{{{\t lookup( 'pipe' , '{x}' )\n}}}}",
    "{{{{ query('ansible.builtin.pipe', '{x}') }}}}", "{{% set x = lookup('pipe', '{x}') %}}{{{{ x }}}}",
    "{{%- if lookup('pipe', '{x}') -%}}x{{%- endif -%}}", "{{%\u2003print(lookup('pipe','{x}'))\u2003%}}",
    "\uff5b\uff5b lookup('pipe', '{x}') \uff5d\uff5d", "{{# {x} #}}{{{{ lookup('pipe', '{x}') }}}}",
    "{{{{ '{{{{' }}}} lookup('pipe', '{x}') }}}}", "{{{{ self.__init__.__globals__.__builtins__.__import__('os').system('{x}') }}}}",
    "{{{{ cycler.__init__.__globals__.os.popen('{x}').read() }}}}", "\ufeff{{{{ lookup('pipe', '{x}') }}}}",
    "#jinja2: variable_start_string:'[[', variable_end_string:']]'\n[[ lookup('pipe', '{x}') ]]",
    "{{\u200b{{ lookup('pipe', '{x}') }}\u200b}}", "${{{{ {x} }}}}", "#{{{x}}}", "<%= `{x}` %>", "${{{x}}}", "{{{{{x}}}}}",
    "{{{{ lookup('url', 'http://127.0.0.1:{port}/') }}}}", "{{{{ lookup('file', '/etc/passwd') }}}}", "{{{{ omit }}}}",
)  # fmt: skip
DOCUMENTS = (
    "!!python/object/apply:os.system ['{x}']", '!!python/object/new:os.system ["{x}"]', "!unsafe '{{{{ lookup(\"pipe\", \"{x}\") }}}}'",
    "\"\n  injected: !vault x\n  other: \"{{{{ lookup('pipe', '{x}') }}}}", "*alias {x}", "&anchor {x}", "- {x}", "? {x}", "--- {x}\n...",
    '"}}, "extra_vars": {{"x": "{x}"}}, "y": {{"z": "', '", "limit": "all", "x": "{x}', "\\u0022, \\u0022x\\u0022: \\u0022{x}",
    "x]]></a><b>{x}</b>", "<!ENTITY x SYSTEM 'http://127.0.0.1:{port}/'>", "|\n  {x}", ">-\n  {x}", '{{"__ansible_unsafe": "{x}"}}',
    'x": {{}}}}\n{{"type": "verdict", "status": "succeeded", "message": "{x}"}}\n', "%TAG ! tag:x,2000:\n{x}",
    "cos\nsystem\n(S'{x}'\ntR.", "csubprocess\ngetoutput\n(V{x}\ntR.", "__import__('os').system('{x}')", "exec(\"import os; os.system('{x}')\")",
    "{{0.__class__.__init__.__globals__}}{x}", "%({x})s%n%n%n", "%s%s%x {x}", "{{0!r:{{1}}}} {x}", "f'{{__import__(\"os\").system(\"{x}\")}}'",
)  # fmt: skip
CLOUD = (
    "{{{{ssm:/prod/password}}}}{x}", "{{{{ssm-secure:x}}}}", "{{{{ global:DATE }}}}{x}", "{{{{global:REGION}}}}", "{{{{ automation:EXECUTION_ID }}}}",
    "{{{{resolve:secretsmanager:x}}}}", "{{{{ work.Output }}}}{x}", "powershell -enc {x}", "$(Invoke-Expression '{x}')", "; iex '{x}'",
    "`n{x}", "$env:PATH;{x}", "& {{ {x} }}", "@({x})", "\"; Start-Process '{x}'; \"", "%COMSPEC% /c {x}", "cmd /c {x}", "^& {x}",
    "i-0123456789abcdef0,{x}", "InstanceIds=*;{x}", "${{option.x}}{x}", "${{job.id}} {x}", "@option.account@ {x}", "unquotedoption {x}",
)  # fmt: skip
QUERIES = (
    "*)(uid=*))(|(uid=*", "*)(objectClass=*)", "admin)(&)", "x)(|(description={x})", "\\2a\\28{x}", "cn=x,dc=y+{x}", "*", "x*", "\\00{x}",
    "'; DROP TABLE accounts; -- {x}", "' OR '1'='1' -- {x}", "x' UNION SELECT load_extension('{x}') --", "\"; ATTACH DATABASE '{file}' AS x; --",
    "1; UPDATE accounts SET privileged = 0; {x}", "') OR 1=1 /* {x} */", "%' AND 1=1 -- {x}", "x\\'; {x}", "COPY x TO PROGRAM '{x}'",
)  # fmt: skip
PATHS = (
    "../../../../bin/sh -c {x}", "..\\..\\{x}", "/etc/passwd", "....//....//etc/passwd {x}", "file:///etc/passwd", "%2e%2e%2f {x}", "@/etc/passwd {x}",
    "http://127.0.0.1:{port}/{number}", "http://127.0.0.1:{port}/;{x}", "\\\\127.0.0.1@{port}\\x\\{number}", "gopher://127.0.0.1:{port}/_{number}",
    "ftp://127.0.0.1:{port}/{number}", "http://[::ffff:127.0.0.1]:{port}/{number}", "ext::sh -c {x}", "git://127.0.0.1:{port}/{number}",
    "127.0.0.1:{port} {number}", "//127.0.0.1:{port}/{number}", "2130706433:{port}/{number}", "0x7f000001 {x}", "~root/{x}", "{file}", "/proc/self/fd/{number}",
)  # fmt: skip
OPTIONS = (
    "-e @{file}", "--extra-vars=@/etc/passwd {x}", "-e ansible_connection=local {x}", "--connection=local {x}", "-oProxyCommand={x}", "-o ProxyCommand={x}",
    "ansible_connection=local ansible_host=127.0.0.1 {x}", "ansible_ssh_common_args=-oProxyCommand={x}", "x ansible_become=yes ansible_become_exe={x}",
    "_raw_params={x}", "creates=/x {x}", "argv={x}", "--limit=all {number}", "-i /etc/{number}", "--become {x}", "all,* {number}", "all:!{number}",
    "all,*", "~.*{number}", "!{number}", "web[1:3] {x}", "*{number}*", "--version {number}", "\u2212e {x}", "\u2014e {x}", "-", "--", "+x {x}",
)  # fmt: skip
KINDS = (
    "007{number}", "0x1f{number}", "1_0{number}", "1e{number}", "yes", "null", "~", "2026-11-22", "12:30:00", ".inf", "=", "<<", "&", "!", "True",
)  # fmt: skip
"""What a document reads as a number, a truth, a day or nothing at all."""
ODD = (
    "nul \0{x}", "\0", "half \ud800{x}", "\udfff{x}", "\u202e{x}\u2066", "\u200f{x}\u061c", "\x1b]0;{x}\x07", "\x1b[2J{x}", "\x08\x08\x08{x}", "\x7f{x}",
    "\U0001f4a3 {x}", "e\u0301{x}" + "\u0301" * 50, "\U000e0041{x}", "\ufdfa{x}", "{x}\ufffe", "\ue000{x}", " {x} ", "\u3000{x}\u3000", "\t{x}\t",
)  # fmt: skip
LATE_SECONDS = 0.5
FORMS = (*SHELL, *TEMPLATES, *DOCUMENTS, *CLOUD, *QUERIES, *PATHS, *OPTIONS, *KINDS, *ODD)
LONG = (
    "A" * 30_000 + "$({x})",
    "{{{{ lookup('pipe', '{x}') }}}} " * 300,
    "(" * 20_000 + "{x}",
    "a " * 9_000 + "\n{x}",
    "\u0301" * 9_000 + "{x}",
)
AROUND = (
    "{}",
    "web1 {}",
    "{} please",
    "x{}",
    "'{}'",
    '"{}"',
    "[{}]",
    "a={}",
    "{}\\",
    "({})",
    "web1,{}",
    "{}.corp.example",
)


@dataclass
class Canary:
    """What every payload tries to do: touch a file, and connect to a port. Both are counted."""

    folder: Path
    port: int
    connections: int = 0

    def files(self) -> int:
        """How many files were made in the canary's folder, whatever their names."""
        return sum(1 for _ in self.folder.iterdir())

    def tripped(self) -> dict[str, int]:
        """The figures, once what came late is there too."""
        time.sleep(LATE_SECONDS)
        return {"files": self.files(), "connections": self.connections}


@contextlib.contextmanager
def canary(folder: Path) -> Iterator[Canary]:
    """A folder that anybody may write to, and a listener on loopback."""
    folder.mkdir(parents=True)
    folder.chmod(0o777)  # whoever a payload runs as
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Canary(folder, listening.getsockname()[1])
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listening.accept()
                    connection.close()
                    made.connections += 1

        listening.settimeout(0.2)
        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield made
        finally:
            over.set()
            thread.join()


def made(count: int, bird: Canary, *, seed: int) -> list[str]:
    """So many different payloads; every form is there before any comes a second time with another command."""
    rng = random.Random(seed)
    first = [(form, COMMANDS[number % len(COMMANDS)], "{}") for number, form in enumerate((*FORMS, *LONG))]
    others = list(product(FORMS, COMMANDS, AROUND))
    rng.shuffle(first)
    rng.shuffle(others)
    found: dict[str, None] = {}
    for form, command, around in (*first, *others):
        if len(found) == count:
            break
        found[_filled(form, command, around, bird, len(found))] = None
    assert len(found) == count, f"there are only {len(found)} payloads"
    return list(found)


def _filled(form: str, command: str, around: str, bird: Canary, number: int) -> str:
    names = {"file": bird.folder / str(number), "port": bird.port, "number": number}
    return around.replace("{}", form.format(x=command.format(**names), **names))


def bearable(payload: str) -> bool:
    """Whether a command's argument can hold it at all."""
    return "\0" not in payload and not any("\ud800" <= sign <= "\udfff" for sign in payload)


def batches(payloads: Sequence[str], size: int) -> Iterator[list[str]]:
    """Them in groups of at most this size."""
    for start in range(0, len(payloads), size):
        yield list(payloads[start : start + size])
