//! GPUs, in the three places that ask for them.

use super::*;
use crate::spec::{DeviceRequest, RequestedDevices};

#[track_caller]
fn check_gpus(keys: &str, devices: Option<RequestedDevices>) {
    check_service(keys, &[]);
    let expect: Vec<DeviceRequest> = devices.map(DeviceRequest::gpus).into_iter().collect();
    assert_eq!(container(keys).device_requests, expect, "{keys}");
}

#[test]
fn gpus_are_asked_for_in_three_places() {
    let of_deploy = |request: &str| format!("deploy: {{resources: {{reservations: {{devices: [{{{request}}}]}}}}}}");
    check_gpus("", None);
    check_gpus("gpus: all", Some(RequestedDevices::All));
    check_gpus("gpus: 2", Some(RequestedDevices::Count(2)));
    check_gpus("gpus: 0", None);
    check_gpus("labels: {aliyun.gpu: '2'}", Some(RequestedDevices::Count(2)));
    check_gpus("labels: {tickmesh.gpu: 0}", None);
    check_gpus("labels: {aliyun.gpu: 1}\ngpus: 1", Some(RequestedDevices::Count(1)));
    check_gpus("gpus: [{count: 1}]", Some(RequestedDevices::Count(1)));
    check_gpus(&of_deploy("capabilities: [gpu]"), Some(RequestedDevices::All));
    check_gpus(&of_deploy("capabilities: [gpu], count: all"), Some(RequestedDevices::All));
    check_gpus(
        &of_deploy("capabilities: [gpu], device_ids: ['0', '3']"),
        Some(RequestedDevices::Named(owned(&["0", "3"]))),
    );
    let request = container(&of_deploy("driver: nvidia, count: 1, capabilities: [gpu, utility], options: {a: b}"));
    let expect = DeviceRequest {
        driver: Some("nvidia".to_owned()),
        devices: RequestedDevices::Count(1),
        capabilities: owned(&["gpu", "utility"]),
        options: map(&[("a", "b")]),
    };
    assert_eq!(request.device_requests, [expect]);
    assert_eq!(request.host_access().iter().map(ToString::to_string).collect::<Vec<_>>(), ["gpus"]);
}

#[test]
fn runtime_of_nvidia_is_a_request_for_gpus() {
    let told = "5:14: warning: `runtime: nvidia` is read as a request for GPUs, which the engine hands out itself\n  hint: write `gpus: all`";
    let devices = |keys: &str| {
        check_service(keys, &[told]);
        container(keys).device_requests
    };
    let named = |names: &[&str]| vec![DeviceRequest::gpus(RequestedDevices::Named(owned(names)))];
    assert_eq!(devices("runtime: nvidia"), [DeviceRequest::gpus(RequestedDevices::All)]);
    let visible =
        |value: &str| devices(&format!("runtime: nvidia\nenvironment: {{NVIDIA_VISIBLE_DEVICES: '{value}'}}"));
    assert_eq!(visible("all"), [DeviceRequest::gpus(RequestedDevices::All)]);
    assert_eq!(visible("0,3"), named(&["0", "3"]));
    assert_eq!(visible("none"), []);
    assert_eq!(devices("runtime: nvidia\ngpus: 2"), [DeviceRequest::gpus(RequestedDevices::Count(2))]);
    check_service("runtime: runc", &[]);
    check_service(
        "runtime: sysbox-runc",
        &[
            "5:14: error: the runtime `sysbox-runc` is not supported: it is for the administrator of a host to say\n  hint: make it the default runtime of the hosts that the label `constraint` names",
        ],
    );
}

#[test]
fn odd_requests_for_gpus_are_refused() {
    check_service("gpus: many", &["5:11: error: `many` is not `all` or a number of devices up to 64"]);
    check_service(
        "gpus: 1\nlabels: {aliyun.gpu: 2}",
        &["6:26: error: the service asks for GPUs in two places that differ\n  hint: keep one of them"],
    );
    check_service(
        "deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 1, device_ids: ['0'], cont: 1}]}}}",
        &[
            "5:51: error: `count` and `device_ids` exclude each other\n  hint: remove one of them",
            "5:51: error: the devices have no `capabilities`\n  hint: add `capabilities: [gpu]`",
            "5:97: error: unknown key `cont`\n  hint: did you mean `count`?",
        ],
    );
}
