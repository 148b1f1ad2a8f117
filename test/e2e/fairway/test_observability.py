# SPDX-License-Identifier: Apache-2.0
"""Metrics as a real Prometheus sees them, and spans as a collector gets them."""
import http.server
import json
import re
import shutil
import subprocess
import threading
import urllib.parse

import pytest
import requests

from fairway_process import Fairway, Gateway, ROOT, metric, model_manifest, wait_for


class Collector(http.server.BaseHTTPRequestHandler):
    spans = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        for resource in body["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                self.spans.extend(scope["spans"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


def attributes(span):
    return {a["key"]: next(iter(a["value"].values())) for a in span["attributes"]}


def test_spans_reach_a_collector():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    with Fairway("--quiet", env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) as f:
        f.serve("sim", profile="decode=1000,answer=0")
        trace = "0af7651916cd43dd8448eb211c80319c"
        answer = requests.post(f.url + "/v1/chat/completions", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"},
                               json={"model": "sim", "stream": True, "max_tokens": 7,
                                     "messages": [{"role": "user", "content": "hello"}]})
        wait_for(lambda: len([s for s in Collector.spans if s["traceId"] == trace]) >= 3, "three spans")
        spans = {s["name"]: s for s in Collector.spans if s["traceId"] == trace}
    server.shutdown()
    assert spans["inference"]["parentSpanId"] == "b7ad6b7169203331"
    assert spans["schedule"]["parentSpanId"] == spans["generate"]["parentSpanId"] == spans["inference"]["spanId"]
    assert attributes(spans["inference"])["request_id"] == answer.headers["x-request-id"]
    assert int(attributes(spans["inference"])["prompt_length"]) > 0
    assert int(attributes(spans["generate"])["tokens_generated"]) > 0 and "gpu_id" in attributes(spans["generate"])


def test_metrics_of_a_model(fairway):
    fairway.serve("sim", profile="decode=1000,answer=0")
    fairway.client().chat.completions.create(model="sim", max_tokens=3, messages=[{"role": "user", "content": "hello " * 400}])
    text = requests.get(fairway.url + "/metrics").text
    assert metric(text, "inference_requests_total", model_name="sim", status="200") == 1
    assert metric(text, "inference_duration_seconds_count", model_name="sim") == 1
    assert metric(text, "fairway_queue_wait_seconds_count", model_name="sim", priority="normal") == 1
    assert metric(text, "fairway_slots", model_name="sim") == 4
    assert 4 <= metric(text, "fairway_prefix_index_blocks", model_name="sim") <= 5  # 2,400 bytes, and the JSON around them
    assert metric(text, "fairway_prefix_index_capacity", model_name="sim") == 256 * 1024
    if shutil.which("promtool"):
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
def test_prometheus_sees_the_queue(fairway, tmp_path):
    fairway.apply(model_manifest("sim", slots=1, profile="decode=20,answer=0"))
    fairway.ready("sim")
    (tmp_path / "prometheus.yml").write_text(json.dumps({
        "global": {"scrape_interval": "200ms"},
        "scrape_configs": [{"job_name": "fairway", "static_configs": [{"targets": [fairway.url.removeprefix("http://")]}]}],
    }))
    prometheus = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         "--web.listen-address=127.0.0.1:0", "--log.level=info"], stderr=subprocess.PIPE, text=True)
    streams = [requests.post(fairway.url + "/v1/chat/completions", stream=True, json={
        "model": "sim", "stream": True, "max_tokens": 3000, "messages": [{"role": "user", "content": "hello"}]})]
    waiting = [threading.Thread(target=requests.post, daemon=True, args=(fairway.url + "/v1/chat/completions",), kwargs={
        "json": {"model": "sim", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]}}) for _ in range(5)]
    for thread in waiting:
        thread.start()
    try:
        port = next(line.rsplit(":", 1)[1].split()[0].strip('"') for line in prometheus.stderr
                    if "Listening on" in line and "address=127.0.0.1:" in line)
        threading.Thread(target=prometheus.stderr.read, daemon=True).start()
        query = urllib.parse.quote('inference_queue_length{model_name="sim"}')

        def seen():
            try:
                answer = requests.get(f"http://127.0.0.1:{port}/api/v1/query?query={query}").json()
            except requests.RequestException:
                return False
            result = answer.get("data", {}).get("result", [])
            return bool(result) and result[0]["value"][1] == "5"
        wait_for(seen, "Prometheus sees five requests that wait")
    finally:
        streams[0].close()
        prometheus.terminate()
        prometheus.wait()
    for thread in waiting:
        thread.join(60)


def test_every_metric_is_documented():
    with Fairway("--quiet", "--gpus", "1xH100-80G") as fairway, Gateway(fairway) as gateway:
        fairway.serve("sim", profile="decode=1000,answer=0")
        fairway.client().chat.completions.create(model="sim", max_tokens=3, messages=[{"role": "user", "content": "hello"}])
        text = requests.get(fairway.url + "/metrics").text + requests.get(gateway.url + "/metrics").text
    families = set(re.findall(r"^# TYPE (\S+)", text, re.M))
    page = (ROOT / "docs/observability.md").read_text()
    assert families == set(re.findall(r"^\| `([a-z_]+)`", page, re.M))
