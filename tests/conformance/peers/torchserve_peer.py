"""TorchServe with its envelope for JSON: `torchserve_peer.py FOLDER PORT` fits the model, archives it with a handler of its own and
becomes `torchserve`. As the handler, it answers what the envelope takes out of a request.

TorchServe's workers import torch, and only to know whether an answer is one of its tensors, which none is here: a module with that
name and an empty class stands for half a gigabyte."""
import os, pathlib, socket, subprocess, sys

if __name__ == "__main__":
    import sample
    folder = sample.work(sys.argv[1])
    sample.fitted(folder, ["torchserve"])
    for name in ("store", "tmp", "torch"):
        (folder / name).mkdir()
    (folder / "torch/__init__.py").write_text("class Tensor:\n    pass\n")
    binaries = os.path.dirname(sys.executable)
    subprocess.run([
        sys.executable, "-m", "model_archiver.model_packaging", "--model-name", "scores", "--version", "1.0", "--handler", __file__,
        "--extra-files", folder / "model.joblib", "--export-path", folder / "store",
    ], check=True)

    def free():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    (folder / "config.properties").write_text("\n".join([
        f"inference_address=http://127.0.0.1:{sys.argv[2]}", f"management_address=http://127.0.0.1:{free()}",
        f"metrics_address=http://127.0.0.1:{free()}", f"grpc_inference_port={free()}", f"grpc_management_port={free()}",
        f"model_store={folder / 'store'}", "load_models=scores.mar", "service_envelope=json", "default_workers_per_model=1",
        "disable_token_authorization=true",
    ]) + "\n")
    os.environ |= {
        "PATH": binaries + os.pathsep + os.environ["PATH"], "TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(folder),
        "LOG_LOCATION": str(folder), "METRICS_LOCATION": str(folder), "PYTHONDONTWRITEBYTECODE": "1",
    }
    os.chdir(folder)
    os.execv(os.path.join(binaries, "torchserve"), [
        "torchserve", "--start", "--foreground", "--ncs", "--ts-config", str(folder / "config.properties"),
    ])

MODEL = None


def handle(rows, context):
    global MODEL
    if MODEL is None:
        import joblib
        MODEL = joblib.load(pathlib.Path(context.system_properties["model_dir"]) / "model.joblib")
    return MODEL.predict(rows).tolist() if rows else None
