"""Every bound of the device, in one typed place.

The relations between them are checked at import.
"""

from __future__ import annotations

from typing import Final

from trocar.contracts.errors import require

__all__ = [
    "ADDRESS_OPTION_COUNT_MAX",
    "AUDIT_CLOSE_MS_MAX",
    "AUDIT_FILE_BYTES_MAX",
    "AUDIT_HELD_COUNT_MAX",
    "AUDIT_LOCK_MS_MAX",
    "AUDIT_NUMBER_MAX",
    "AUDIT_PART_COUNT_MAX",
    "AUDIT_RECORD_BYTES_MAX",
    "AUDIT_RETRY_MS",
    "BLACK_LEVEL_MAX",
    "BLACK_SPREAD_MAX",
    "BOX_CANDIDATE_COUNT_MAX",
    "BOX_OVERLAP_MAX",
    "BOX_PARITY_OVERLAP_MIN",
    "BOX_SCORE_MIN",
    "BOX_SIDE_PX_MIN",
    "DEADLINE_MS_DEFAULT",
    "DECODE_ERROR_COUNT_MAX",
    "DETECTION_COUNT_MAX",
    "DEVICE_LOCK_LINE_COUNT_MAX",
    "ENGINE_BUILD_MS_MAX",
    "ENGINE_BYTES_MAX",
    "ENGINE_CACHE_BYTES_MAX",
    "ENGINE_CACHE_COUNT_MAX",
    "ENGINE_STEP_MS_MAX",
    "ENGINE_WORKSPACE_BYTES_MAX",
    "FRAME_PIXEL_COUNT_MAX",
    "FRAME_SIDE_PX_MAX",
    "FRAME_SIDE_PX_MIN",
    "FROZEN_AFTER_MS_DEFAULT",
    "HEALTH_CHANGE_COUNT_MAX",
    "HEALTH_STREAK_COUNT",
    "IGTL_BACKLOG_COUNT_MAX",
    "IGTL_BACK_OFF_MS_MAX",
    "IGTL_BUFFER_COUNT_MAX",
    "IGTL_CAPABILITY_COUNT_MAX",
    "IGTL_CLIENT_COUNT_MAX",
    "IGTL_CLOSE_MS_MAX",
    "IGTL_CONNECT_MS_MAX",
    "IGTL_DETAIL_LENGTH_MAX",
    "IGTL_DEVICE_COUNT_MAX",
    "IGTL_EXTENSION_BYTES_MAX",
    "IGTL_IDLE_MS_MAX",
    "IGTL_IMAGE_BYTES_MAX",
    "IGTL_LOG_COUNT_MAX",
    "IGTL_MESSAGE_MS_MAX",
    "IGTL_METADATA_COUNT_MAX",
    "IGTL_PLACE_COUNT_MAX",
    "IGTL_POINT_COUNT_MAX",
    "IGTL_POSITION_MM_MAX",
    "IGTL_RECEIVE_BUFFER_BYTES",
    "IGTL_SEND_BUFFER_BYTES",
    "IGTL_SEND_MS_MAX",
    "IGTL_TEXT_BYTES_MAX",
    "IGTL_TYPE_NAME_COUNT_MAX",
    "IGTL_UNIT_COUNT_MAX",
    "IGTL_UNKNOWN_BYTES_MAX",
    "INSTALL_OUTPUT_LENGTH_MAX",
    "INSTALL_PROGRAM_MS_MAX",
    "INSTALL_RECORD_BYTES_MAX",
    "INSTALL_SELFTEST_MS_MAX",
    "LATENCY_SAMPLE_COUNT_MAX",
    "LAYER_COUNT_MAX",
    "LEDGER_LENGTH_MAX",
    "LINK_GIVE_UP_MS_DEFAULT",
    "LINK_GIVE_UP_MS_MAX",
    "LINK_RETRY_MS_MAX",
    "LINK_WAIT_MS_MAX",
    "MANIFEST_BYTES_MAX",
    "METRICS_CLIENT_COUNT_MAX",
    "METRICS_PERIOD_MS",
    "METRICS_REQUEST_BYTES_MAX",
    "METRICS_WAIT_MS_MAX",
    "NETWORK_SIDE_PX_MAX",
    "NETWORK_SIDE_PX_MIN",
    "NS_PER_MS",
    "NS_PER_S",
    "PACK_BYTES_MAX",
    "PACK_FILE_BYTES_MAX",
    "PACK_FILE_COUNT_MAX",
    "PACK_SIGNATURE_BYTES_MAX",
    "PART_BUSY_MS_MAX",
    "PART_HANG_MS_MAX",
    "QUALITY_STRIDE_PX_MAX",
    "RECORDING_BYTES_DEFAULT",
    "RECORDING_CHUNK_BYTES_MAX",
    "RECORDING_LINE_BYTES_MAX",
    "RELEASE_BYTES_MAX",
    "RELEASE_FILE_BYTES_MAX",
    "RELEASE_NAME_LENGTH_MAX",
    "RELEASE_SEQUENCE_MAX",
    "RELEASE_SEQUENCE_STEP_MAX",
    "SATURATED_FRACTION_MAX",
    "SATURATED_LEVEL_MIN",
    "SIGNATURE_BYTES_MAX",
    "SIGNATURE_CHECK_MS_MAX",
    "SINK_QUEUE_LENGTH_MAX",
    "SINK_WAIT_MS_MAX",
    "SLEEP_SLICE_MS_MAX",
    "SLOT_FILE_COUNT_MAX",
    "SLOT_WAIT_MS_MAX",
    "SOURCE_ID_LENGTH_MAX",
    "SOURCE_SILENCE_MS_MAX",
    "STATEMENT_BYTES_MAX",
    "STATEMENT_DEPTH_MAX",
    "STATEMENT_SUBJECT_COUNT_MAX",
    "TENSOR_SIDE_MAX",
    "THREAD_COUNT_MAX",
    "THREAD_JOIN_MS_MAX",
    "TRACK_GAP_MS_MAX",
    "TRACK_LABEL_COUNT_MAX",
    "TRUSTED_KEY_BYTES_MAX",
    "TRUSTED_KEY_COUNT_MAX",
    "UNTIMED_AGE_MS_MAX",
    "WARM_UP_COUNT_MAX",
    "WATCHDOG_PERIOD_MS_MAX",
]

NS_PER_MS: Final = 1_000_000
"""Nanoseconds in a millisecond."""

NS_PER_S: Final = 1_000_000_000
"""Nanoseconds in a second."""

FRAME_SIDE_PX_MIN: Final = 32
"""Smallest side of a frame that a unit may see."""

FRAME_SIDE_PX_MAX: Final = 8192
"""Largest side of a frame that is read into memory."""

FRAME_PIXEL_COUNT_MAX: Final = 4096 * 4096
"""Largest area of a frame: bounds the memory of one frame to 48 MiB."""

SOURCE_ID_LENGTH_MAX: Final = 512
"""Longest name of a source, in characters."""

ADDRESS_OPTION_COUNT_MAX: Final = 8
"""Options in one address on the network."""

BLACK_LEVEL_MAX: Final = 10.0
"""Mean of the grey levels (0 to 255) up to which a frame counts as black."""

BLACK_SPREAD_MAX: Final = 4.0
"""Standard deviation of the grey levels up to which a dark frame counts as black."""

SATURATED_LEVEL_MIN: Final = 250
"""Channel value from which a sample counts as saturated."""

SATURATED_FRACTION_MAX: Final = 0.60
"""Share of saturated samples above which a frame is not usable."""

QUALITY_STRIDE_PX_MAX: Final = 16
"""Detectors of black, saturated and frozen frames look at every n-th pixel, at most this n."""

FROZEN_AFTER_MS_DEFAULT: Final = 1000
"""Time for which identical frames may arrive before the source counts as frozen."""

DEADLINE_MS_DEFAULT: Final = 100
"""Age of a result above which it counts as missed."""

SOURCE_SILENCE_MS_MAX: Final = 5000
"""Time without any frame after which a live source counts as lost."""

DECODE_ERROR_COUNT_MAX: Final = 25
"""Frames of one source that may fail to decode before it counts as lost."""

DETECTION_COUNT_MAX: Final = 100
"""Detections, and tracks, of one frame."""

BOX_CANDIDATE_COUNT_MAX: Final = 200
"""Peaks of one frame's scores, the highest ones, that are looked at as boxes."""

BOX_SCORE_MIN: Final = 0.05
"""Score from which a box stands in the record: no operating point of a pack is lower."""

BOX_OVERLAP_MAX: Final = 0.5
"""Intersection over union above which two boxes of one class are the same instrument."""

BOX_PARITY_OVERLAP_MIN: Final = 0.9
"""Intersection over union from which the boxes of two engines are the same box."""

BOX_SIDE_PX_MIN: Final = 1.0
"""Shortest side of a box, after clipping to the frame; a shorter one marks nothing."""

TRACK_GAP_MS_MAX: Final = 60_000
"""Longest time for which a tracker may be told to wait for a tool or a frame."""

TRACK_LABEL_COUNT_MAX: Final = 64
"""Classes between which the vote of one track is held."""

SINK_QUEUE_LENGTH_MAX: Final = 16
"""Results that wait for one sink; each may hold one frame."""

LEDGER_LENGTH_MAX: Final = 100_000
"""Dropped frames that the ledger lists one by one; beyond it only counts."""

LATENCY_SAMPLE_COUNT_MAX: Final = 1_000_000
"""Frames of which the latency summary keeps the times (24 MiB)."""

SLOT_WAIT_MS_MAX: Final = 100
"""Longest wait for the next frame before stop and silence are looked at again."""

SLEEP_SLICE_MS_MAX: Final = 50
"""Longest sleep of a paced source before it looks at its stop signal again."""

THREAD_JOIN_MS_MAX: Final = 2000
"""Longest wait for a thread to end before it is left behind and reported."""

SINK_WAIT_MS_MAX: Final = 10_000
"""Longest wait for a place in the queue of a slow sink before that sink counts as failed."""

LINK_WAIT_MS_MAX: Final = 5000
"""Longest wait of a live source for a connection, and for the next data of an open one."""

LINK_RETRY_MS_MAX: Final = 1000
"""Longest pause before a live source tries again to connect."""

LINK_GIVE_UP_MS_DEFAULT: Final = 60_000
"""Time without a connection after which a live source counts as lost."""

LINK_GIVE_UP_MS_MAX: Final = 600_000
"""Longest time that a user may ask a live source to go on trying."""

PART_BUSY_MS_MAX: Final = 1000
"""Time that a part may spend on one frame before it counts as stalled."""

PART_HANG_MS_MAX: Final = 10_000
"""Time that a part may spend on one frame before the run counts as failed."""

WATCHDOG_PERIOD_MS_MAX: Final = 250
"""Longest time between two looks of the watchdog."""

HEALTH_STREAK_COUNT: Final = 5
"""Withheld or late results in a row that make a fault, and others in a row that end it."""

HEALTH_CHANGE_COUNT_MAX: Final = 256
"""Changes of the state of health that a summary lists; the first ones are kept."""

METRICS_PERIOD_MS: Final = 1000
"""Time between two versions of the file of metrics."""

METRICS_CLIENT_COUNT_MAX: Final = 4
"""Requests for metrics that are served at a time; one more is closed at once."""

METRICS_REQUEST_BYTES_MAX: Final = 8192
"""Longest request for metrics."""

METRICS_WAIT_MS_MAX: Final = 2000
"""Longest time that one request for metrics may take."""

RECORDING_BYTES_DEFAULT: Final = 64 * 1024**3
"""Disk space that a recording takes unless told otherwise."""

RECORDING_CHUNK_BYTES_MAX: Final = 256 * 1024**2
"""Size from which a recording begins its next file of pixels."""

RECORDING_LINE_BYTES_MAX: Final = 65_536
"""Longest line in the index of a recording."""

PACK_FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest file of a pack."""

PACK_BYTES_MAX: Final = 256 * 1024 * 1024
"""All files of a pack together, or a pack in one file."""

PACK_SIGNATURE_BYTES_MAX: Final = 64 * 1024
"""Largest signature of a pack."""

PACK_FILE_COUNT_MAX: Final = 32
"""Most files in a pack, its manifest included."""

MANIFEST_BYTES_MAX: Final = 1024 * 1024
"""Largest manifest."""

THREAD_COUNT_MAX: Final = 64
"""Most threads inside one call of an engine."""

WARM_UP_COUNT_MAX: Final = 1000
"""Most calls before the first frame."""


ENGINE_BUILD_MS_MAX: Final = 3_600_000
"""Time in which an engine is built; small boards were reported to take many minutes."""

ENGINE_STEP_MS_MAX: Final = 120_000
"""Time that one step of a build may take to notice that the build is to end."""

ENGINE_WORKSPACE_BYTES_MAX: Final = 1024**3
"""Memory of the GPU that one layer of a built engine may use as scratch space."""

ENGINE_BYTES_MAX: Final = 512 * 1024**2
"""Largest built engine; one of the largest pack has about the size of its model."""

ENGINE_CACHE_COUNT_MAX: Final = 8
"""Engines that are kept; the one used longest ago goes first."""

ENGINE_CACHE_BYTES_MAX: Final = 2 * 1024**3
"""Disk space of the kept engines together."""

UNTIMED_AGE_MS_MAX: Final = 60_000
"""Age up to which a frame is answered where nothing is timed, such as stills."""

NETWORK_SIDE_PX_MIN: Final = 32
"""Smallest side of the picture that a network takes."""

NETWORK_SIDE_PX_MAX: Final = 2048
"""Largest side of the picture that a network takes."""

TENSOR_SIDE_MAX: Final = 8192
"""Largest size of one axis of a model's tensor."""

LAYER_COUNT_MAX: Final = 100_000
"""Most layers that a manifest may say a model has."""

IGTL_IMAGE_BYTES_MAX: Final = 3 * FRAME_PIXEL_COUNT_MAX
"""Pixels of one image of the network, in bytes: as much as the largest RGB frame (48 MiB)."""

IGTL_TEXT_BYTES_MAX: Final = 65_535
"""Text of one message of the network; its length field has 16 bits."""

IGTL_POINT_COUNT_MAX: Final = 1024
"""Points in one message of the network."""

IGTL_CAPABILITY_COUNT_MAX: Final = 256
"""Names of message types in one list of capabilities."""

IGTL_METADATA_COUNT_MAX: Final = 256
"""Pairs of key and value beside one message of the network."""

IGTL_EXTENSION_BYTES_MAX: Final = 128 * 1024
"""Extended header and metadata of one message of the network together."""

IGTL_UNKNOWN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Message of a type that is not decoded: up to here it is read past, never kept."""

IGTL_POSITION_MM_MAX: Final = 1e7
"""Largest size of a number in a matrix or a position of the network, 10 km [mm]."""

IGTL_MESSAGE_MS_MAX: Final = 5000
"""Time from the first byte of a message of the network to its last; then the peer is dropped."""

IGTL_IDLE_MS_MAX: Final = 3000
"""Time without any message after which a sender counts as gone, though it is still connected."""

IGTL_SEND_MS_MAX: Final = 2000
"""Time in which a receiver has to take one message; then it is dropped."""

IGTL_CONNECT_MS_MAX: Final = 500
"""Longest wait for a peer to accept a connection."""

IGTL_BACK_OFF_MS_MAX: Final = 500
"""Longest pause between two attempts to connect; the first one after a loss is made at once."""

IGTL_CLOSE_MS_MAX: Final = 1000
"""Time in which what still waits for the receivers may be sent when a run ends."""

IGTL_CLIENT_COUNT_MAX: Final = 8
"""Receivers of results at one time; each has a thread of its own."""

IGTL_BACKLOG_COUNT_MAX: Final = 8
"""Connections that the system holds until they are accepted or refused."""

IGTL_UNIT_COUNT_MAX: Final = 16
"""Results that wait for one receiver: the newest one of each unit."""

IGTL_DEVICE_COUNT_MAX: Final = 64
"""Devices of which the newest transform, text or status is kept."""

IGTL_PLACE_COUNT_MAX: Final = 64
"""Frames of which the place in space is kept, so that their masks can be sent with it."""

IGTL_DETAIL_LENGTH_MAX: Final = 512
"""Characters of the text that says why a result was withheld."""

IGTL_TYPE_NAME_COUNT_MAX: Final = 64
"""Types of message that are counted under their own names."""

IGTL_LOG_COUNT_MAX: Final = 20
"""Events of one kind that are logged one by one; beyond it they are only counted."""

IGTL_BUFFER_COUNT_MAX: Final = 4
"""Bodies of messages whose memory is kept for the next ones."""

IGTL_RECEIVE_BUFFER_BYTES: Final = 4 * 1024 * 1024
"""What the system may hold of a sender: pictures that wait there grow old unseen."""

IGTL_SEND_BUFFER_BYTES: Final = 256 * 1024
"""What the system may hold for one receiver: results that wait there can no longer be replaced."""

AUDIT_RECORD_BYTES_MAX: Final = 4096
"""Longest record of the audit log, its end of line included."""

AUDIT_FILE_BYTES_MAX: Final = 1024 * 1024
"""Size beyond which the audit log goes on in its next file."""

AUDIT_PART_COUNT_MAX: Final = 9999
"""Files of one audit log."""

AUDIT_NUMBER_MAX: Final = 10**12
"""Largest count or time [ms] in a record of the audit log."""

AUDIT_HELD_COUNT_MAX: Final = 256
"""Events that wait in memory until they can be written to the audit log."""

AUDIT_RETRY_MS: Final = 500
"""Pause before the audit log is written to again after it could not be."""

AUDIT_LOCK_MS_MAX: Final = 2000
"""Longest wait for another process that writes to the same audit log."""

AUDIT_CLOSE_MS_MAX: Final = 5000
"""Longest wait at the end of a run for events that are not written yet."""

STATEMENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest signed statement, with its envelope: a release of 10,000 files needs about 1.5 MB."""

STATEMENT_DEPTH_MAX: Final = 16
"""Deepest nesting of objects and lists in a signed statement."""

STATEMENT_SUBJECT_COUNT_MAX: Final = 10_000
"""Files that one statement may name."""

SIGNATURE_BYTES_MAX: Final = 72
"""Longest ECDSA signature over P-256 in DER."""

TRUSTED_KEY_COUNT_MAX: Final = 16
"""Keys in a trust folder: the present one, the next one, and some of sites."""

TRUSTED_KEY_BYTES_MAX: Final = 4096
"""Largest file with a public key."""

RELEASE_FILE_BYTES_MAX: Final = 1024**3
"""Largest file of a release; the largest wheels of engines have about 0.6 GiB."""

RELEASE_BYTES_MAX: Final = 4 * 1024**3
"""All files of a release together."""

RELEASE_NAME_LENGTH_MAX: Final = 255
"""Longest name of a file in a release, with its folders."""

RELEASE_SEQUENCE_MAX: Final = 2**31 - 1
"""Largest sequence number of a release."""

RELEASE_SEQUENCE_STEP_MAX: Final = 1000
"""Releases that may be skipped at once: a mistaken number must not lock a device for good."""

DEVICE_LOCK_LINE_COUNT_MAX: Final = 256
"""Packages that a device installs."""

SLOT_FILE_COUNT_MAX: Final = 100_000
"""Files of one installed release."""

INSTALL_RECORD_BYTES_MAX: Final = 32 * 1024 * 1024
"""Largest record of an installer: the list of the files of one slot."""

INSTALL_OUTPUT_LENGTH_MAX: Final = 2000
"""Characters of another program's output that an error repeats."""

SIGNATURE_CHECK_MS_MAX: Final = 10_000
"""Time in which the system's OpenSSL checks one signature."""

INSTALL_PROGRAM_MS_MAX: Final = 1_200_000
"""Time in which the interpreter makes an environment, or pip installs into it."""

INSTALL_SELFTEST_MS_MAX: Final = 300_000
"""Time in which the self-test of a new release ends."""

require(FRAME_SIDE_PX_MIN < FRAME_SIDE_PX_MAX, "frame sides leave no room")
require(ENGINE_BYTES_MAX <= ENGINE_CACHE_BYTES_MAX, "the largest engine must find room")
require(IGTL_UNKNOWN_BYTES_MAX <= IGTL_IMAGE_BYTES_MAX, "an unknown type must not cost more")
require(FRAME_PIXEL_COUNT_MAX >= 3840 * 2160, "a 4K frame must be accepted")
require(BLACK_LEVEL_MAX < SATURATED_LEVEL_MIN, "black and saturated overlap")
require(DETECTION_COUNT_MAX <= BOX_CANDIDATE_COUNT_MAX, "more boxes kept than looked at")
require(DEADLINE_MS_DEFAULT < SOURCE_SILENCE_MS_MAX, "a deadline must be missed before the loss")
require(FROZEN_AFTER_MS_DEFAULT < SOURCE_SILENCE_MS_MAX, "frozen must be seen before lost")
require(SLOT_WAIT_MS_MAX < SOURCE_SILENCE_MS_MAX, "silence must be looked at before it is over")
require(PART_BUSY_MS_MAX < SOURCE_SILENCE_MS_MAX, "silence must be shown before the run ends")
require(LINK_GIVE_UP_MS_DEFAULT <= LINK_GIVE_UP_MS_MAX, "the default must be allowed")
require(RECORDING_CHUNK_BYTES_MAX >= 3 * FRAME_PIXEL_COUNT_MAX, "a frame must fit into a chunk")
require(IGTL_IDLE_MS_MAX < SOURCE_SILENCE_MS_MAX, "a lost sender must be left before the run ends")
require(IGTL_CONNECT_MS_MAX + IGTL_BACK_OFF_MS_MAX <= 1000, "a peer must be found within 1 s")
require(IGTL_CLOSE_MS_MAX < THREAD_JOIN_MS_MAX, "threads must end before they are left behind")
require(AUDIT_RECORD_BYTES_MAX * 4 <= AUDIT_FILE_BYTES_MAX, "a file must hold several records")
require(AUDIT_LOCK_MS_MAX < AUDIT_CLOSE_MS_MAX, "the last record must outlast one wait")
