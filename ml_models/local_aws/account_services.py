"""Resources that Terraform creates around the service: a data export, chat channels, subscribers of a budget.

Closes these gaps of moto 5.2: Data Exports and Chatbot are not implemented, and requests for a budget's subscribers or
tags return 500.
This module stores and describes the resources. It delivers no data or messages.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_aws.account import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICES = ("bcm-data-exports", "chatbot", "budgets")
_JSON_1_1 = "application/x-amz-json-1.1"


class _NotFoundError(Exception):
    """No such thing."""


class AccountServices:
    """Stores the created resources by ARN."""

    def __init__(self) -> None:
        self._exports: dict[str, dict[str, Any]] = {}
        self._channels: dict[str, dict[str, Any]] = {}
        self._tags: dict[str, list[dict[str, str]]] = {}
        self._notifications: dict[str, list[dict[str, Any]]] = {}

    def answer(self, service: str, request: Request, body: bytes) -> Response | None:
        """Answer a call to one of `SERVICES`. None if moto answers it."""
        if service == "budgets":
            self._learn(request, body)
        handler = self._handler(service, request)
        if handler is None:
            return None
        try:
            result = handler(json.loads(body or b"{}"))
        except _NotFoundError as error:
            answer = json.dumps({"__type": "ResourceNotFoundException", "message": str(error)})
            return Response(answer, 404, {"x-amzn-errortype": "ResourceNotFoundException"}, mimetype=_JSON_1_1)
        return Response(json.dumps(result), mimetype=_JSON_1_1)

    def _learn(self, request: Request, body: bytes) -> None:
        # moto creates the budget and its notifications, but loses its tags and subscribers.
        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        given = json.loads(body or b"{}")
        if action == "CreateNotification":
            self._notifications.setdefault(given["BudgetName"], []).append(given)
        if action == "CreateBudget":
            arn = f"arn:aws:budgets::{ACCOUNT_ID}:budget/{given['Budget']['BudgetName']}"
            self._tags[arn] = given.get("ResourceTags", [])

    def _handler(self, service: str, request: Request) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
        if service == "chatbot":  # named by its path
            return {
                "/create-slack-channel-configuration": self._create_channel,
                "/describe-slack-channel-configurations": self._describe_channels,
                "/delete-slack-channel-configuration": self._delete_channel,
                "/create-ms-teams-channel-configuration": self._create_teams_channel,
                "/get-ms-teams-channel-configuration": self._get_teams_channel,
                "/list-ms-teams-channel-configurations": self._list_teams_channels,
                "/delete-ms-teams-channel-configuration": self._delete_channel,
                "/list-tags-for-resource": lambda given: {"Tags": self._tags.get(given["ResourceARN"], [])},
            }.get(request.path)
        return {
            ("bcm-data-exports", "CreateExport"): self._create_export,
            ("bcm-data-exports", "GetExport"): self._get_export,
            ("bcm-data-exports", "DeleteExport"): self._delete_export,
            ("bcm-data-exports", "ListTagsForResource"): lambda given: self._resource_tags(given["ResourceArn"]),
            ("budgets", "ListTagsForResource"): lambda given: self._resource_tags(given["ResourceARN"]),
            ("budgets", "DescribeSubscribersForNotification"): self._describe_subscribers,
        }.get((service, request.headers.get("X-Amz-Target", "").rpartition(".")[2]))

    def _create_export(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["Export"]["Name"]
        arn = f"arn:aws:bcm-data-exports:{REGION}:{ACCOUNT_ID}:export/{name}-{uuid.uuid4()}"
        query = given["Export"]["DataQuery"]
        # As in AWS: an export without a billing view gets the account's primary one.
        view = {"BILLING_VIEW_ARN": f"arn:aws:billing::{ACCOUNT_ID}:billingview/primary"}
        tables = {table: view | settings for table, settings in query.get("TableConfigurations", {}).items()}
        export = {**given["Export"], "DataQuery": {**query, "TableConfigurations": tables}}
        self._exports[arn] = {**export, "ExportArn": arn}
        self._tags[arn] = given.get("ResourceTags", [])
        return {"ExportArn": arn}

    def _get_export(self, given: dict[str, Any]) -> dict[str, Any]:
        export = _found(self._exports, given["ExportArn"])
        return {"Export": export, "ExportStatus": {"StatusCode": "HEALTHY"}}

    def _delete_export(self, given: dict[str, Any]) -> dict[str, Any]:
        _found(self._exports, given["ExportArn"])
        del self._exports[given["ExportArn"]]
        return {"ExportArn": given["ExportArn"]}

    def _resource_tags(self, arn: str) -> dict[str, Any]:
        return {"ResourceTags": self._tags.get(arn, [])}

    def _describe_subscribers(self, given: dict[str, Any]) -> dict[str, Any]:
        for notification in self._notifications.get(given["BudgetName"], []):
            if notification["Notification"]["Threshold"] == given["Notification"]["Threshold"]:
                return {"Subscribers": notification["Subscribers"]}
        raise _NotFoundError(f"{given['BudgetName']} has no such notification")

    def _create_channel(self, given: dict[str, Any]) -> dict[str, Any]:
        names = {"SlackTeamName": "a team", "SlackChannelName": "a channel"}
        return self._keep_channel("slack-channel", names | given)

    def _create_teams_channel(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._keep_channel("microsoft-teams-channel", {"TeamName": "a team", "ChannelName": "a channel"} | given)

    def _keep_channel(self, kind: str, given: dict[str, Any]) -> dict[str, Any]:
        arn = f"arn:aws:chatbot::{ACCOUNT_ID}:chat-configuration/{kind}/{given['ConfigurationName']}"
        self._channels[arn] = {"State": "ENABLED", **given, "ChatConfigurationArn": arn}
        self._tags[arn] = given.get("Tags", [])
        return {"ChannelConfiguration": self._channels[arn]}

    def _describe_channels(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = given.get("ChatConfigurationArn")
        found = [
            channel for arn, channel in self._channels.items() if wanted in (None, arn) and "SlackTeamId" in channel
        ]
        return {"SlackChannelConfigurations": found}

    def _get_teams_channel(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"ChannelConfiguration": _found(self._channels, given["ChatConfigurationArn"])}

    def _list_teams_channels(self, given: dict[str, Any]) -> dict[str, Any]:
        wanted = given.get("TeamId")
        found = [channel for channel in self._channels.values() if "TenantId" in channel]
        return {"TeamChannelConfigurations": [channel for channel in found if wanted in (None, channel["TeamId"])]}

    def _delete_channel(self, given: dict[str, Any]) -> dict[str, Any]:
        _found(self._channels, given["ChatConfigurationArn"])
        del self._channels[given["ChatConfigurationArn"]]
        return {}


def _found(things: dict[str, dict[str, Any]], arn: str) -> dict[str, Any]:
    if arn not in things:
        raise _NotFoundError(f"{arn} is not there")
    return things[arn]
