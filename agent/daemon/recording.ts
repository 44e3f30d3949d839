import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { RecordError } from '../calibration/recording/error.ts';
import { RECORDED_FOLDER, removeCleared } from '../calibration/recording/list.ts';
import { Recorder, type InstalledInputs } from '../calibration/recording/recorder.ts';
import { serveRecorder } from '../calibration/recording/server.ts';
import type { Config } from '../contracts/config.ts';
import { modelInputSchema } from '../contracts/recorded.ts';
import { Slots } from '../deploy/slots/slots.ts';
import { codeOf, messageOf } from '../util/errors.ts';
import type { Log } from './log.ts';

export interface RecordingOptions {
  readonly config: Config;
  readonly folders: { readonly state: string; readonly runtime: string };
  readonly log: Log;
}

/** Between two times at which the count of samples is written down, if it has changed. */
const FLUSH_MS = 600_000;

/** The part of decision.json, beside every model that was fitted here, that says what it takes. */
const recordSchema = z.looseObject({ inputs: z.array(modelInputSchema).optional() });

/**
 * Takes samples from applications; resolves to what ends it. That it cannot listen is written down and
 * leaves the rest of the daemon at work.
 */
export async function startRecording(options: RecordingOptions): Promise<() => Promise<void>> {
  const { config, folders, log } = options;
  const { calibration } = config;
  const folder = join(folders.state, RECORDED_FOLDER);
  const path = socketPath(config, folders.runtime);
  const recorder = new Recorder({
    folder,
    installed: installedIn(join(folders.state, 'models')),
    limits: calibration,
    random: (bound) => randomInt(bound),
    now: () => new Date(),
    monotonicMs: () => performance.now(),
  });
  try {
    await removeCleared(folder);
    const { maxSampleBytes } = calibration;
    const server = await serveRecorder({ path, recorder, maxSampleBytes, onRefused: tell(log) });
    const flush = () =>
      recorder.flush().catch((error: unknown) => {
        log.logger.warn({ why: messageOf(error) }, 'the count of recorded samples is not kept');
      });
    const timer = setInterval(() => void flush(), FLUSH_MS);
    timer.unref();
    log.logger.info({ path }, 'samples for calibration may be handed over');
    return async () => {
      clearInterval(timer);
      await server.close();
      await flush();
    };
  } catch (error) {
    log.logger.error({ why: messageOf(error) }, 'samples for calibration cannot be taken');
    return async () => undefined;
  }
}

/** Where applications hand samples over. */
export function socketPath({ calibration }: Pick<Config, 'calibration'>, runtime: string): string {
  return calibration.socketFile ?? join(runtime, 'record.sock');
}

/** A code is told once; an application that does it wrong does it wrong many times a second. */
function tell({ logger }: Log): (code: string, model: string | null) => void {
  const told = new Set<string>();
  return (code, model) => {
    const fields = { code, model };
    if (told.has(code)) logger.debug(fields, 'a sample was refused');
    else logger.warn(fields, 'a sample was refused; more of this code are not told');
    told.add(code);
  };
}

/** What each model takes, from the record that lies beside it; read once for each release. */
function installedIn(models: string): (model: string) => Promise<InstalledInputs> {
  const known = new Map<string, InstalledInputs>();
  return async (model) => {
    const slots = slotsOf(models, model);
    const release = await slots.current();
    if (release === null) {
      throw new RecordError('UNKNOWN_MODEL', `no model ${model} is installed here`);
    }
    const before = known.get(model);
    if (before?.release === release) return before;
    const inputs = await inputsBeside(slots.releaseFolder(release));
    if (inputs === undefined || inputs.length === 0) {
      const message = `nothing says what ${model} takes: fit it again with this version`;
      throw new RecordError('NO_INPUTS', message);
    }
    const installed = { release, inputs };
    known.set(model, installed);
    return installed;
  };
}

function slotsOf(models: string, model: string): Slots {
  try {
    return new Slots(models, model);
  } catch (cause) {
    throw new RecordError('UNKNOWN_MODEL', messageOf(cause), { cause });
  }
}

async function inputsBeside(release: string) {
  try {
    const text = await readFile(join(release, 'decision.json'), 'utf8');
    const { success, data } = recordSchema.safeParse(JSON.parse(text));
    return success ? data.inputs : undefined;
  } catch (error) {
    // The disk's fault is told as such; a record that is not there or not JSON says nothing.
    if (codeOf(error) === 'EIO') throw error;
    return undefined;
  }
}
