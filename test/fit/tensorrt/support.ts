/** `agent bench` on an Orin of files, whose trtexec is a stand-in. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { benchSchema, type BenchReport } from '../../../agent/contracts/bench.ts';
import { benchModel } from '../../../agent/fit/bench.ts';
import type { BenchRequest, ProgressEvent } from '../../../agent/fit/types.ts';
import { productPackage } from '../../support/orin.ts';
import { makeStandIn, type StandIn, type StandInSettings } from '../../support/trtexec.ts';

export interface Bench {
  readonly standIn: StandIn;
  readonly engines: string;
  readonly run: (
    plan?: Partial<BenchRequest['plan']>,
    watch?: {
      readonly coolDownSeconds?: number | null;
      readonly progress?: (event: ProgressEvent) => void;
    },
  ) => Promise<BenchReport>;
  readonly remove: () => Promise<void>;
}

/** Engines are kept in a folder of its own. */
export async function openBench(root: string, settings: StandInSettings = {}): Promise<Bench> {
  const standIn = await makeStandIn(settings);
  const folder = mkdtempSync(join(tmpdir(), 'edgefit-orin-'));
  const engines = join(folder, 'engines');
  process.env['EDGEFIT_TRTEXEC'] = standIn.path;
  process.env['EDGEFIT_ENGINES'] = engines;
  const modelPath = productPackage(folder);
  return {
    standIn,
    engines,
    run: async (plan = {}, { coolDownSeconds = null, progress = () => undefined } = {}) => {
      const made = await benchModel(
        {
          modelPath,
          plan: { asIs: false, threads: [1], runtimes: ['tensorrt'], ...plan },
          samples: {},
          image: {},
          objective: {
            optimize: 'latency',
            maxAccuracyDrop: null,
            minSqnrDb: null,
            maxP90Ms: null,
          },
          minTimeSeconds: 0.02,
          coolDownSeconds,
          machineRoot: root,
        },
        { signal: new AbortController().signal, progress },
      );
      await made.cleanup();
      return benchSchema.parse(made.report);
    },
    remove: async () => {
      delete process.env['EDGEFIT_TRTEXEC'];
      delete process.env['EDGEFIT_ENGINES'];
      await standIn.remove();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function rowOf({ candidates }: BenchReport, id: string) {
  return candidates.find((one) => one.id === id);
}
