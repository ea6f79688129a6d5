"""The same as `wire.py` for messages of gRPC: one that passes calls on to a peer and keeps them as JSON, and one that answers from
what was kept. Wants grpcio and the messages of the Open Inference Protocol that come with tritonclient."""
import json
from concurrent import futures

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from tritonclient.grpc import service_pb2 as messages

SERVICE = "/inference.GRPCInferenceService/"


def shown(method, body, kind):
    """A message as JSON: raw contents in base64."""
    return MessageToDict(getattr(messages, f"{method}{kind}").FromString(body), preserving_proto_field_name=True)


class Between(grpc.GenericRpcHandler):
    """Serves on a free port until `close`; what becomes of a call is for `answer`."""

    def __init__(self):
        self.strange = []
        self.server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[self])
        self.url = f"grpc://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def close(self):
        self.server.stop(None)

    def service(self, details):
        method = details.method.removeprefix(SERVICE)
        if any(name == "authorization" for name, _ in details.invocation_metadata):
            self.strange.append(f"{method} came with the caller's key")

        def called(body, context):
            found = self.answer(method, body)
            if isinstance(found, bytes):
                return found
            context.abort(grpc.StatusCode[found["code"]], found["says"])

        return grpc.unary_unary_rpc_method_handler(called)


class Recorder(Between):
    def __init__(self, port):
        super().__init__()
        self.channel, self.kept = grpc.insecure_channel(f"127.0.0.1:{port}"), []

    def close(self):
        super().close()
        self.channel.close()

    def take(self):
        kept, self.kept = self.kept, []
        return kept

    def answer(self, method, body):
        try:
            found = self.channel.unary_unary(SERVICE + method)(body, timeout=60)
            answered = {"message": shown(method, found, "Response")}
        except grpc.RpcError as fault:
            found = answered = {"code": fault.code().name, "says": fault.details()}
        sent = {"method": method, "message": shown(method, body, "Request")}
        self.kept.append({"sent": sent, "answered": answered})
        return found


class Replayer(Between):
    def __init__(self, exchanges):
        super().__init__()
        self.known = {json.dumps(kept["sent"], sort_keys=True): kept["answered"] for kept in exchanges}
        self.used = set()

    def answer(self, method, body):
        asked = json.dumps({"method": method, "message": shown(method, body, "Request")}, sort_keys=True)
        found = self.known.get(asked)
        if found is None:
            self.strange.append(asked)
            return {"code": "UNKNOWN", "says": "the peer was never asked this"}
        self.used.add(asked)
        if "message" not in found:
            return found
        return ParseDict(found["message"], getattr(messages, f"{method}Response")()).SerializeToString()
