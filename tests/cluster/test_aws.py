"""Ray's own autoscaler on AWS: its file as Ray takes it, and an account that is made for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from helpers.manifests import CLUSTER, of_kind
from moto import mock_aws
from ray.autoscaler._private.aws.config import _configure_security_group
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.autoscaler.tags import TAG_RAY_CLUSTER_NAME

FILE = CLUSTER / "aws.yaml"
ACCOUNT = CLUSTER / "aws_account.yaml"
REGION = "us-west-2"
HERE = "203.0.113.7/32"
PROFILES = {"landslide-scale-head", "landslide-scale-worker"}


def config() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return content


class Template(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


Template.add_multi_constructor("!", lambda loader, name, node: {name: loader.construct_scalar(node)})


def template() -> dict[str, Any]:
    content: dict[str, Any] = yaml.load(ACCOUNT.read_text(), Template)  # noqa: S506 a SafeLoader
    return content


def test_ray_takes_the_file_and_adds_no_step_of_its_own():
    """By Ray's defaults every machine would fetch a nightly Ray, and the head some boto3, from the internet."""
    prepared = prepare_config(config())
    validate_config(prepared)
    for step in ("setup_commands", "head_setup_commands", "worker_setup_commands"):
        assert prepared[step] == []


def test_what_ray_does_not_know_is_refused():
    wrong = prepare_config(config() | {"idle_timeout": 5})
    with pytest.raises(Exception, match="idle_timeout"):
        validate_config(wrong)


def test_heads_and_workers_have_a_role_each():
    types = config()["available_node_types"]
    found = {name: node["node_config"]["IamInstanceProfile"] for name, node in types.items()}
    assert found.pop("head") == {"Name": "landslide-scale-head"}
    assert set(found) == {"readers", "gpus"}
    assert all(profile == {"Name": "landslide-scale-worker"} for profile in found.values())


def test_the_token_goes_to_every_machine_and_is_demanded_by_each():
    content = config()
    assert content["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    for commands in (content["head_start_ray_commands"], content["worker_start_ray_commands"]):
        (start,) = (command for command in commands if "ray start" in command)
        assert "RAY_AUTH_MODE=token ray start" in start


def test_the_machines_are_where_the_scenes_are():
    assert config()["provider"]["region"] == REGION
    assert f"--region {REGION} " in config()["initialization_commands"][0]


def test_the_image_is_that_of_the_pods():
    (cron,) = of_kind("CronJob").values()
    (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert config()["docker"]["image"] == container["image"]


@pytest.mark.slow
def test_the_account_has_no_fault_that_a_linter_of_such_templates_knows():
    linter = Path(sys.executable).parent / "cfn-lint"
    told = subprocess.run([linter, ACCOUNT], capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stdout


@pytest.fixture(scope="module")
def account() -> Iterator[dict[str, str]]:
    """The stack made in an account of moto's, and what it gives out."""
    with mock_aws():
        stacks = boto3.client("cloudformation", region_name=REGION)
        stacks.create_stack(
            StackName="landslide-scale",
            TemplateBody=ACCOUNT.read_text(),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[
                {"ParameterKey": "Bucket", "ParameterValue": "made-bucket"},
                {"ParameterKey": "From", "ParameterValue": HERE},
            ],
        )
        (stack,) = stacks.describe_stacks(StackName="landslide-scale")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        yield {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_the_stack_makes_the_profiles_that_machines_are_given():
    iam = boto3.client("iam")
    made = {each["InstanceProfileName"]: each["Roles"] for each in iam.list_instance_profiles()["InstanceProfiles"]}
    assert set(made) == PROFILES
    assert all(len(roles) == 1 for roles in made.values())


@pytest.mark.slow
def test_both_roles_write_the_bucket_and_no_other(account: dict[str, str]):
    assert boto3.client("s3", region_name=REGION).list_buckets()["Buckets"][0]["Name"] == "made-bucket"
    roles = [each["Properties"] for each in template()["Resources"].values() if each["Type"] == "AWS::IAM::Role"]
    assert {each["RoleName"] for each in roles} == PROFILES
    assert all({"Ref": "BucketAccess"} in each["ManagedPolicyArns"] for each in roles)  # moto does not attach them
    iam = boto3.client("iam")
    version = iam.get_policy(PolicyArn=account["BucketPolicy"])["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=account["BucketPolicy"], VersionId=version)["PolicyVersion"]["Document"]
    resources = {statement["Resource"] for statement in document["Statement"]}
    assert resources == {"arn:aws:s3:::made-bucket", "arn:aws:s3:::made-bucket/*"}
    actions = {action for statement in document["Statement"] for action in statement["Action"]}
    assert {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"} <= actions
    assert not any("*" in action for action in actions)


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_the_head_may_start_workers_with_their_role_and_end_none_but_its_own():
    iam = boto3.client("iam")
    told = iam.get_role_policy(RoleName="landslide-scale-head", PolicyName="workers")["PolicyDocument"]
    document = yaml.safe_load(str(told))  # moto's is Python's way of writing it
    worker = iam.get_role(RoleName="landslide-scale-worker")["Role"]["Arn"]
    by_action: dict[str, list[Any]] = {}
    for statement in document["Statement"]:
        by_action.setdefault(statement["Action"], []).append(statement)
    assert [each["Resource"] for each in by_action["iam:PassRole"]] == [worker]
    own = {"ec2:ResourceTag/ray-cluster-name": config()["cluster_name"]}
    assert [each["Condition"]["StringEquals"] for each in by_action["ec2:TerminateInstances"]] == [own]
    tagged = [each["Condition"]["StringEquals"] for each in by_action["ec2:CreateTags"]]
    assert tagged == [{"ec2:CreateAction": "RunInstances"}, own]  # who may tag any machine may end any
    (started,) = by_action["ec2:RunInstances"]
    assert started["Condition"]["StringEquals"] == {"aws:RequestedRegion": REGION}
    assert iam.list_role_policies(RoleName="landslide-scale-worker")["PolicyNames"] == []


@pytest.mark.slow
@pytest.mark.usefixtures("account")
def test_ray_takes_the_security_group_of_the_account_and_lets_nobody_else_in():
    """In a group of its own, and in one that has no rules yet, Ray lets ssh in from everywhere."""
    ec2 = boto3.client("ec2", region_name=REGION)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    prepared = prepare_config(config())
    for node in prepared["available_node_types"].values():
        node["node_config"]["SubnetIds"] = [subnet]
    taken = _configure_security_group(prepared)["available_node_types"]
    named = {group for node in taken.values() for group in node["node_config"]["SecurityGroupIds"]}
    (group,) = ec2.describe_security_groups(GroupIds=list(named))["SecurityGroups"]
    assert group["GroupName"] == "landslide-scale"
    places = [each["CidrIp"] for rule in group["IpPermissions"] for each in rule["IpRanges"]]
    assert places == [HERE]
    (inside,) = (rule for rule in group["IpPermissions"] if not rule["IpRanges"])
    assert [each["GroupId"] for each in inside["UserIdGroupPairs"]] == [group["GroupId"]]


def test_ray_tags_its_machines_as_the_heads_role_says():
    assert f"ec2:ResourceTag/{TAG_RAY_CLUSTER_NAME}" in ACCOUNT.read_text()
