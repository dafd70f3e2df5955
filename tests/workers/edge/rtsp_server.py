"""A real RTSP server for tests: GStreamer's, with a moving picture and one user. Run by the system's Python, which has GStreamer.

    /usr/bin/python3 rtsp_server.py PORT USER PASSWORD

Prints "listening" when it does. Only this machine can reach it.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PICTURE = "video/x-raw,width=320,height=240,framerate=15/1"
PIPELINE = (
    f"( videotestsrc is-live=true pattern=ball ! {PICTURE} ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15"
    " ! rtph264pay name=pay0 pt=96 config-interval=1 )"
)


def main() -> None:
    port, user, password = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)

    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/cam", factory)

    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth = GstRtspServer.RTSPAuth()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)

    if not server.attach(None):
        sys.exit(f"cannot listen on port {port}")
    print("listening", flush=True)
    GLib.MainLoop().run()


main()
