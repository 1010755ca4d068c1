"""The application's OpenAPI document: what FastAPI makes of the endpoints, and what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from fastcheck.hub.http.api.documented import REFUSALS, ProblemDocument
from fastcheck.hub.http.description import Description
from fastcheck.wire.operations import SUBJECTS

TAGS = {
    "money": "Grants and balances.",
    "spending": "Refunds, caps, and what is held or burned at the hub itself.",
    "top-ups": "Automatic top-ups.",
    "metering": "Use that was metered elsewhere.",
    "events": "What happened.",
    "webhooks": "Who is told of events.",
    "records": "The catalog, the audit log, usage records, explanations.",
    "finance": "Exports, and whether the ledger adds up.",
    "epochs": "Where the ledger is.",
    "tokens": "Who may ask.",
}
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of the hub (`fc_<environment>_<id>_<secret>`). Scopes: `support` reads, `spend` "
    "reserves, burns and meters, `admin` may do everything.",
}


def describe(app: FastAPI) -> None:
    """Completes the application's OpenAPI document: problems, the bearer scheme, what the tags mean."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = made()
        components = document.setdefault("components", {})
        schema = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
        components.setdefault("schemas", {})["ProblemDocument"] = schema
        if not components.get("securitySchemes"):
            # Whoever checks tokens may have said it better.
            components["securitySchemes"] = {"bearer": _BEARER}
            document["security"] = [{"bearer": []}]
        _share_refusals(document)
        described = Description()
        document["paths"] |= described.paths(
            (subject.__name__.rpartition(".")[2], row) for subject in SUBJECTS for row in subject.OPERATIONS
        )
        components["schemas"] |= described.schemas
        tags = TAGS | {
            subject.__name__.rpartition(".")[2]: (subject.__doc__ or "").partition(": ")[2].strip()
            for subject in SUBJECTS
        }
        document["tags"] = [{"name": name, "description": told} for name, told in tags.items()]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _share_refusals(document: dict[str, Any]) -> None:
    """Says each refusal once: every endpoint has them all."""
    shared = document["components"].setdefault("responses", {})
    for status, refusal in REFUSALS.items():
        shared[f"Refused{status}"] = refusal
    for path in document["paths"].values():
        for operation in path.values():
            responses = operation.get("responses", {})
            for status, refusal in REFUSALS.items():
                if responses.get(str(status), {}).get("description") == refusal["description"]:
                    responses[str(status)] = {"$ref": f"#/components/responses/Refused{status}"}
