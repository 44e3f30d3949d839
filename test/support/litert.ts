import { openTflite } from '../../agent/model/tflite/open.ts';
import { uniqueTensorNames } from '../../agent/model/tflite/tensor-names.ts';
import type { TfliteModel } from '../../agent/model/tflite/types.ts';
import { floatSession } from '../../agent/runtime/float-session.ts';
import type { Feeds, Outputs } from '../../agent/runtime/types.ts';
import { portsOf } from '../../scripts/litert/ports.js';
import { openLitert, type LitertSession } from '../../scripts/litert/session.js';
import { tfliteBytes } from './tflite-models.ts';

/** Opens what is in a .tflite file in the newest runtime at hand; in this process, which it cannot end. */
export function openNewest(bytes: Uint8Array): Promise<LitertSession> {
  return openLitert(bytes, portsOf(openTflite(bytes), uniqueTensorNames));
}

/** The outputs for each sample; integers that stand for numbers are these numbers. */
export async function runNewest(model: TfliteModel, samples: readonly Feeds[]): Promise<Outputs[]> {
  const session = floatSession(await openNewest(tfliteBytes(model)));
  try {
    const outputs: Outputs[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one run after the other
    for (const feeds of samples) outputs.push(await session.run(feeds));
    return outputs;
  } finally {
    await session.close();
  }
}
