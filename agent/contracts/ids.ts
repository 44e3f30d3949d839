/**
 * What names a device, a job, a benchmark or a group. It stands in topics and file names, so it is
 * neither `.` nor `..`.
 */
export const ID_PATTERN = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/;

/** The same for people. */
export const ID_RULE = '1 to 64 of A-Z a-z 0-9 . _ and -';

/** What telemetry is about: the last level of its topic. */
export const telemetryStreams = ['host', 'infer', 'agent'] as const;
