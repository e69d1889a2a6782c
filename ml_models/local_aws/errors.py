"""Errors of SageMaker's API."""

from __future__ import annotations

import json

from werkzeug.wrappers import Response


class ApiError(Exception):
    """An error as SageMaker's API words it."""

    def __init__(self, message: str, code: str = "ValidationException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def response(self) -> Response:
        """Return the answer that says it."""
        body = json.dumps({"__type": self.code, "message": str(self)})
        return Response(body, self.status, {"x-amzn-errortype": self.code}, mimetype="application/x-amz-json-1.1")
