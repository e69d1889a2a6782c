"""The ordinary workloads in the five accounts of the demo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_sentinel.demo.places import REGIONS
from egress_sentinel.demo.workloads import ACCOUNT_IDS, ACCOUNT_NAMES, Place

if TYPE_CHECKING:
    import numpy as np

    from egress_sentinel.demo.traffic import Stream


def pick_accounts(rng: np.random.Generator) -> dict[str, str]:
    """Return the account id of each account name, and that of the payer."""
    ids = rng.permutation(ACCOUNT_IDS)
    return {name: str(account_id) for name, account_id in zip((*ACCOUNT_NAMES, "payer"), ids, strict=False)}


def usual_streams(accounts: dict[str, str], rng: np.random.Generator) -> list[Stream]:
    """Return the streams of all five accounts, without usage yet."""
    us = {name: Place(accounts[name], "us-east-1", rng) for name in ACCOUNT_NAMES}
    eu = {name: Place(accounts[name], "eu-west-1", rng) for name in ACCOUNT_NAMES}
    streams = [
        *_media(us["prod-media"], eu["prod-media"]),
        *_data_platform(us["data-platform"], eu["data-platform"]),
        *_web_shop(us["web-shop"], eu["web-shop"]),
        *_dev(us["dev"]),
        *_sandbox(us["security-sandbox"]),
    ]
    for name in ACCOUNT_NAMES:
        streams += _trail(us[name]) + _stray_calls(us[name], rng)
    return streams


def _media(us: Place, eu: Place) -> list[Stream]:
    streams: list[Stream] = []
    for number, name in enumerate(("media-assets", "media-posters", "media-clips")):
        bucket = us.bucket(name)
        role = "hot_bucket" if number == 0 else ""
        streams += us.internet("AmazonS3", "GetObject", bucket, 5 - number, shape="evening", role=role)
        streams += us.bucket_upkeep(bucket)
        origin = us.stream(
            "AmazonS3", "CloudFront-Out-Bytes", "GetObject", bucket, base=us.vary(3), rates=(0.0,), shape="evening",
            transfer_type="AWS Outbound", from_location="US East (N. Virginia)", to_location="External",
            description="data transfer out to CloudFront", egress_class="cloudfront_origin",
        )  # fmt: skip
        streams.append(origin)
    masters = us.bucket("media-masters")
    streams += us.bucket_upkeep(masters)
    streams += [
        us.inter_region("eu-west-1", "PutObjectForRepl", masters, 6, shape="nightly", role="masters"),
        eu.inter_region("us-east-1", "PutObjectForRepl", masters, 6, way="In", shape="nightly"),
    ]
    for place, edge, where, gb in ((us, "US", "United States", 70), (eu, "EU", "Europe", 45)):
        for _ in range(2):
            distribution = f"arn:aws:cloudfront::{us.account_id}:distribution/E{us.rng.bytes(6).hex().upper()}"
            streams += place.cloudfront(distribution, edge, where, gb, shape="evening")
        for _ in range(4):
            streams += place.server("m6i.xlarge", 0.192, 0.6, "evening")
            streams += place.inter_az(place.instance(), 3, shape="evening")
        streams += place.nat(place.nat_gateway(), 4, shape="evening")
        balancer = place.load_balancer("player-api")
        streams += place.internet("AWSELB", "LoadBalancing", balancer, 2.5, shape="evening")
    return streams


def _data_platform(us: Place, eu: Place) -> list[Stream]:
    lake = us.bucket("lake-raw")
    streams = us.bucket_upkeep(lake)
    streams.append(us.inter_region("us-west-2", "PutObject", us.bucket("lake-backup"), 140, shape="weekly_backup"))
    streams.append(us.inter_region("eu-west-1", "GetObject", lake, 4, shape="nightly"))
    for number in range(4):
        role = "exfiltrated" if number == 0 else ""
        streams += us.server("r6i.2xlarge", 0.504, 0.3, "nightly", role=role)
        streams += eu.server("r6i.2xlarge", 0.564, 0.3, "nightly")
        streams += us.inter_az(us.instance(), 6, shape="nightly")
    streams += eu.nat(eu.nat_gateway(), 5, shape="nightly", role="batch_nat")
    streams += us.nat(us.nat_gateway(), 6, shape="nightly")
    for place in (us, eu):
        database = f"arn:aws:rds:{place.region_name}:{place.account_id}:db:warehouse-{place.rng.bytes(2).hex()}"
        streams += place.internet("AmazonRDS", "Not Applicable", database, 0.02, shape="business", presence=0.9)
        streams.append(
            place.stream(
                "AmazonRDS", "InstanceUsage:db.r6g.xl", "CreateDBInstance:0014", database, base=1.0, rates=(0.45,),
                unit="Hrs", shape="constant", family="Database Instance", servicecode="AmazonRDS",
                description="RDS db.r6g.xlarge Single-AZ instance hour running PostgreSQL",
            )
        )  # fmt: skip
    return streams


def _web_shop(us: Place, eu: Place) -> list[Stream]:
    streams: list[Stream] = []
    for place in (us, eu):
        streams += place.internet("AWSELB", "LoadBalancing", place.load_balancer("shop"), 3, shape="business")
        images = place.bucket("shop-images")
        streams += place.internet("AmazonS3", "GetObject", images, 1.5, shape="business")
        streams += place.bucket_upkeep(images)
        distribution = f"arn:aws:cloudfront::{place.account_id}:distribution/E{place.rng.bytes(6).hex().upper()}"
        streams += place.cloudfront(distribution, "EU" if place is eu else "US", "Europe", 12, shape="business")
    streams += us.server("c6i.large", 0.085, 0.3, "business", role="looping")
    streams += us.nat(us.nat_gateway(), 2, shape="business", role="loop_nat")
    streams += eu.nat(eu.nat_gateway(), 2, shape="business")
    for number in range(3):
        chatty = eu.instance()
        role = "chatty" if number < 2 else ""
        streams += eu.server("c6i.large", 0.091, 0.2, "business", resource=chatty)
        streams += eu.inter_az(chatty, 3, shape="business", role=role)
        streams += us.inter_az(us.instance(), 4, shape="business", role="renamed" if number == 0 else "")
        streams += us.server("c6i.large", 0.085, 0.2, "business")
    return streams


def _dev(us: Place) -> list[Stream]:
    streams: list[Stream] = []
    for number in range(3):
        streams += us.server("t3.medium", 0.0416, 0.08, "business", role="small_burst" if number == 0 else "")
    artifacts = us.bucket("build-artifacts")
    streams += us.internet("AmazonS3", "GetObject", artifacts, 0.1, shape="business", presence=0.6)
    return streams + us.bucket_upkeep(artifacts) + us.inter_az(us.instance(), 0.4, shape="business")


def _sandbox(us: Place) -> list[Stream]:
    findings = us.bucket("findings")
    streams = us.server("t3.small", 0.0208, 0.01, "flat", role="free_tier")
    return streams + us.internet("AmazonS3", "GetObject", findings, 0.004, presence=0.2) + us.bucket_upkeep(findings)


def _trail(us: Place) -> list[Stream]:
    """Return the lines of a CloudTrail bucket: every region writes to it, and audit calls read from it."""
    bucket = f"cloudtrail-awslogs-{us.account_id}-{us.rng.bytes(4).hex()}"
    others = [name for name in REGIONS if name != "us-east-1"][:12]
    streams: list[Stream] = []
    for name in others:
        streams += [
            us.inter_region(name, "PutObject", bucket, 9e-7, way="In", presence=0.9, sigma=0.6),
            us.inter_region(name, "ReadACL", bucket, 5e-7, presence=0.2, sigma=0.6),
            us.inter_region(name, "ReadLocation", bucket, 1e-7, presence=0.06, sigma=0.6),
        ]
    return streams


def _stray_calls(us: Place, rng: np.random.Generator) -> list[Stream]:
    """Return many series with lines in only a few hours, as in real bills."""
    operations = ("ListAllMyBuckets", "ReadBucketPolicy", "GetObject", "HeadBucket", "ReadBucketLogging")
    names = [name for name in REGIONS if name != "us-east-1"]
    pairs = [(operation, name) for operation in operations for name in names]
    chosen = [pairs[index] for index in rng.permutation(len(pairs))[:24]]
    picks = zip(chosen, rng.uniform(0.001, 0.02, 24), strict=True)
    return [
        us.inter_region(name, operation, "", 10 ** rng.uniform(-6, -4), presence=presence, sigma=1.0)
        for (operation, name), presence in picks
    ]
