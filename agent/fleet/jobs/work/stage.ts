import { copyFile, cp, mkdtemp, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { Slots } from '../../../deploy/slots/slots.ts';
import { PhaseError, type PhaseFindings, type PhaseInput } from '../phase-work.ts';
import type { WorkContext } from './context.ts';
import { packageFolder } from './fetch.ts';
import { needed, readFindings } from './findings.ts';
import { readFitted } from './fit.ts';

/** Also names of classes, as applications need them with the model. */
const manifestSchema = z.looseObject({ labels: z.string().optional() });

export interface Wanted {
  readonly name: string;
  readonly version: string;
  readonly releaseCounter: number;
  readonly manifestSha256?: string | undefined;
}

/**
 * Makes the fitted model a complete release beside the one that runs, and notes what both links name:
 * the way back leads there. Nothing that applications see changes.
 */
export async function stage(
  input: PhaseInput,
  model: Wanted,
  context: WorkContext,
): Promise<PhaseFindings> {
  const findings = readFindings(input.data);
  const fitted = join(context.folders.cache, needed(findings.fitted, 'fitted'));
  const record = await readFitted(fitted);
  if (record === null) throw new PhaseError('fit_lost', 'the fitted model is not whole any more');
  const folder = await mkdtemp(join(context.folders.scratch, 'stage-'));
  await cp(fitted, folder, { recursive: true });
  await copyLabels(packageFolder(model, context), folder);
  input.signal.throwIfAborted();
  const slots = new Slots(context.folders.models, model.name);
  const { file, precision, runtime } = record.chosen;
  const release = await slots.stage(folder, {
    model: model.name,
    version: model.version,
    releaseCounter: model.releaseCounter,
    file,
    precision,
    runtime,
  });
  const { digest } = release;
  const links = { before: await slots.current(), previousBefore: await slots.previous() };
  return { data: { digest, ...links }, result: { version: model.version, digest } };
}

async function copyLabels(source: string, folder: string): Promise<void> {
  const text = await readFile(join(source, 'manifest.json'), 'utf8');
  const { labels } = manifestSchema.parse(JSON.parse(text));
  if (labels === undefined) return;
  const path = join(source, labels);
  // Whoever signed the package is trusted with models, not with other files of this device.
  if (!`${dirname(path)}/`.startsWith(`${source}/`)) {
    throw new PhaseError('bad_package', `labels ${labels} are outside the package`);
  }
  await copyFile(path, join(folder, basename(labels)));
}
