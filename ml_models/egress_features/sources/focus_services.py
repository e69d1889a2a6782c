"""Product codes of AWS services, by their names in FOCUS (`ServiceName`)."""

from __future__ import annotations

# For files without x_ServiceCode. The codes are those of `line_item_product_code`; a name that is not here stays.
PRODUCT_CODES = {
    "AWS Direct Connect": "AWSDirectConnect",
    "AWS Global Accelerator": "AWSGlobalAccelerator",
    "AWS Lambda": "AWSLambda",
    "AWS Step Functions": "AmazonStates",
    "Amazon API Gateway": "AmazonApiGateway",
    "Amazon CloudFront": "AmazonCloudFront",
    "Amazon DynamoDB": "AmazonDynamoDB",
    "Amazon EC2 Container Registry (ECR)": "AmazonECR",
    "Amazon ElastiCache": "AmazonElastiCache",
    "Amazon Elastic Compute Cloud": "AmazonEC2",
    "Amazon Elastic Container Service": "AmazonECS",
    "Amazon Elastic File System": "AmazonEFS",
    "Amazon Lightsail": "AmazonLightsail",
    "Amazon QuickSight": "AmazonQuickSight",
    "Amazon Redshift": "AmazonRedshift",
    "Amazon Relational Database Service": "AmazonRDS",
    "Amazon Route 53": "AmazonRoute53",
    "Amazon Simple Notification Service": "AmazonSNS",
    "Amazon Simple Queue Service": "AWSQueueService",
    "Amazon Simple Storage Service": "AmazonS3",
    "Amazon Virtual Private Cloud": "AmazonVPC",
    "AmazonCloudWatch": "AmazonCloudWatch",
    "Elastic Load Balancing": "AWSELB",
}


def service_sql(code: str | None) -> str:
    """Return the SQL of the product code. `{column}` is a placeholder for ServiceName, `code` is x_ServiceCode."""
    cases = " ".join(f"WHEN '{name}' THEN '{product}'" for name, product in PRODUCT_CODES.items())
    by_name = f"CASE {{column}} {cases} ELSE COALESCE(CAST({{column}} AS VARCHAR), '') END"
    # AWSDataTransfer only meters the traffic of another service, which ServiceName names.
    return f"COALESCE(NULLIF(NULLIF({code}, ''), 'AWSDataTransfer'), {by_name})" if code else by_name


def is_aws_sql(service: str) -> str:
    """Return the SQL that is true if a ServiceName is one of AWS's."""
    known = ", ".join(f"'{name}'" for name in PRODUCT_CODES if not name.startswith(("AWS", "Amazon")))
    return f"({service} LIKE 'AWS%' OR {service} LIKE 'Amazon%' OR {service} IN ({known}))"
