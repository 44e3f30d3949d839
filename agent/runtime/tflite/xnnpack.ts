import { STATUS, type Pointer, type XnnpackApi } from './api.ts';

/*
 * XNNPACK: fast kernels for float and, asked for by flags, for 8-bit models. Without the flags those
 * run on TFLite's own kernels, which on x86 are ten times slower than float.
 */

/** TFLITE_XNNPACK_DELEGATE_FLAG_QS8 and _QU8 (delegates/xnnpack/xnnpack_delegate.h). */
const QS8 = 1;
const QU8 = 2;

/**
 * What to try, best first. XNNPACK refuses a whole model for one node that it cannot make, for
 * example some uint8 convolutions; with fewer flags it leaves such nodes alone.
 */
export const XNNPACK_FLAGS: readonly number[] = [QS8 | QU8, QS8, QU8, 0];

/**
 * TfLiteXNNPackDelegateOptions begins with `int32 num_threads`. In 2.9 `uint32 flags` follows and
 * nothing else; later a pointer was added behind it, and later still `uint32 runtime_flags` before
 * it. All other fields are off when zero. The room is more than any version reads.
 */
const OPTIONS_BYTES = 256;
const FLAGS_AT = 1;
const FLAGS_AT_LATER = 2;

/** A delegate, or null when XNNPACK does not work on this machine. */
export function createXnnpack(api: XnnpackApi, threads: number, flags: number): Pointer | null {
  // Libraries that can tell a delegate's flags are new; older ones have the first layout.
  const places = api.flags === null ? [FLAGS_AT] : [FLAGS_AT_LATER, FLAGS_AT];
  for (const place of places) {
    const options = new Int32Array(OPTIONS_BYTES / Int32Array.BYTES_PER_ELEMENT);
    // 0 means no thread pool: the calling thread does it all.
    options[0] = threads > 1 ? threads : 0;
    options[place] = flags;
    const delegate = api.create(options);
    if (delegate === null) return null;
    const wanted = api.flags === null || (api.flags(delegate) & flags) === flags;
    if (wanted) return delegate;
    api.delete(delegate);
  }
  return null;
}

/** Whether fewer flags may help after XNNPACK refused a model with this status. */
export function mayTryFewerFlags(status: number): boolean {
  return status === STATUS.delegateRefused;
}
