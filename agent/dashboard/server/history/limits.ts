/** What either store keeps of documents. */

/** Newest of a device. */
export const MAX_JOBS = 100;
export const MAX_BENCHES = 20;
/** Lines that one answer holds. */
export const MAX_LINES = 1000;
/** Of a report; larger ones are not sent by a device either. */
export const MAX_REPORT_BYTES = 128 * 1024;
