"""GET /openapi.json and GET /docs: the same description for programs and for people.

The page is made here, without scripts: the usual viewers come from a CDN, and the one that is packaged for Python knows
no OpenAPI 3.1.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from media_pipeline.service.access import NeedsInBrowser
from media_pipeline.service.problems import documented
from media_pipeline.service.tokens import DOCS, SCOPES

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a404b); --soft: light-dark(#f4f6f9, #20242b);
  --ink: light-dark(#1a1f29, #e6e9ee); --paper: light-dark(#fff, #15181d); --accent: light-dark(#0b57d0, #8ab4f8); }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; padding-top: 1rem; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
code, pre { font: .875rem/1.5 ui-monospace, monospace; }
h2 b { color: var(--accent); }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .4rem; padding: .75rem; overflow-x: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
a { color: var(--accent); } a:focus-visible, pre:focus-visible { outline: 3px solid var(--accent); }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_needs = NeedsInBrowser(DOCS)


def add_routes(app: FastAPI) -> None:
    """Add these routes to an app."""
    document = {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}
    html = {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}}
    refused = documented(401, 403)
    app.get("/openapi.json", responses={200: document, **refused}, response_class=Response, tags=["documentation"])(
        get_openapi_document
    )
    app.get("/docs", responses={200: html, **refused}, response_class=Response, tags=["documentation"])(get_docs)


def get_openapi_document(request: Request, caller: Annotated[object, Depends(_needs)]) -> Response:
    """This description for programs."""
    return JSONResponse(request.app.openapi())


def get_docs(request: Request, caller: Annotated[object, Depends(_needs)]) -> Response:
    """This description for people; in a browser, log in with any name and a token of the scope `docs`."""
    return HTMLResponse(page_of(request.app.openapi()), headers={"Content-Security-Policy": PAGE_POLICY})


def page_of(document: Mapping[str, Any]) -> str:
    """An OpenAPI document as one page."""
    operations = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(document["info"]["title"])
    index = "".join(
        f'<li><a href="#{escape(operation["operationId"])}"><code>{method.upper()} {escape(path)}</code></a></li>'
        for method, path, operation in operations
    )
    scopes = _table(("scope", "a token that has it may"), SCOPES.items())
    sections = "".join(_section(document, *each) for each in operations)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{_paragraphs(document['info'].get('description', ''))}"
        f"<nav aria-label='Routes'><ul>{index}</ul></nav>{scopes}{sections}</main></body></html>"
    )


def _section(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<section><h2 id="{escape(operation["operationId"])}"><b>{method.upper()}</b> {escape(path)}</h2>',
        _paragraphs(operation.get("description", "")),
    ]
    inputs = [*_parameters(operation), *_fields(operation)]
    if inputs:
        parts += ["<h3>Takes</h3>", _table(("name", "where", "what"), inputs)]
    answers = [(status, each["description"]) for status, each in operation["responses"].items()]
    parts += ["<h3>Answers</h3>", _table(("status", "means"), answers)]
    for status, each in operation["responses"].items():
        if status.startswith("2") and (shape := _shape(document, each)):
            parts.append(f"<h3>{status} holds</h3>{_table(('name', 'what'), shape)}")
    parts.append(f'<h3>Try it</h3><pre tabindex="0">{escape(_curl(method, path, operation))}</pre></section>')
    return "".join(parts)


def _parameters(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for each in operation.get("parameters", ()):
        yield each["name"], each["in"], _about(each) or _about(each["schema"])


def _fields(operation: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for name, each in content["schema"]["properties"].items():
            need = "required" if name in content["schema"]["required"] else "optional"
            yield name, f"form, {need}", _about(each)


def _shape(document: Mapping[str, Any], answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    for content in answer.get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        properties = document["components"]["schemas"].get(name, {}).get("properties", {})
        return [(field, _about(each)) for field, each in properties.items()]
    return []


def _about(schema: Mapping[str, Any]) -> str:
    facts = [str(schema["description"]).rstrip(".")] if "description" in schema else []
    facts += [f"always {json.dumps(schema['const'])}"] if "const" in schema else []
    facts += [f"default {json.dumps(schema['default'])}"] if schema.get("default") is not None else []
    facts += [f"pattern {schema['pattern']}"] if len(schema.get("pattern", "")) in range(1, 60) else []
    return "; ".join(facts) or str(schema.get("type", ""))


def _curl(method: str, path: str, operation: Mapping[str, Any]) -> str:
    words = [f"curl -X {method.upper()}" if method != "get" else "curl", '-H "Authorization: Bearer $TOKEN"']
    for content in operation.get("requestBody", {}).get("content", {}).values():
        words += [
            f"-F {name}={'@voice.mp3' if each.get('format') == 'binary' else '...'}"
            for name, each in content["schema"]["properties"].items()
            if name in content["schema"]["required"]
        ]
    if not operation.get("security"):
        words.pop(1)
    return " ".join([*words, f'"$SERVICE{path}"'])


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(each)}</p>" for each in text.split("\n\n") if each.strip())


def _table(heads: tuple[str, ...], rows: Any) -> str:
    head = "".join(f'<th scope="col">{escape(each)}</th>' for each in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td>{f'<code>{escape(cell)}</code>' if n == 0 else escape(cell)}</td>" for n, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
