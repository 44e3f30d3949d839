/** What either store keeps of documents. */

/** Newest of a device. */
export const MAX_JOBS = 100;
export const MAX_BENCHES = 20;
/** Lines that one answer holds. */
export const MAX_LINES = 1000;
/** Of a report; larger ones are not sent by a device either. */
export const MAX_REPORT_BYTES = 128 * 1024;

/** No sensor has larger values, and sums of them would be no numbers any more. */
const MAX_VALUE = 1e100;

/** A value as it is kept: null, a gap, for what cannot be one. */
export const keptValue = (value: number | null): number | null =>
  value === null || Math.abs(value) > MAX_VALUE ? null : value;
