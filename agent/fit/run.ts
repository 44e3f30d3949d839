import type { QuantizeReport } from '../contracts/quantize.ts';
import { shareChild } from './children.ts';
import { withScratch } from './scratch.ts';
import type { BenchRequest, BenchRun, FitService, Hooks, QuantizeRequest } from './types.ts';

/** The measuring part, as the command line loads it (FitService). */

export async function benchModel(request: BenchRequest, hooks: Hooks): Promise<BenchRun> {
  const bench = await import('./bench.ts');
  return bench.benchModel(request, hooks);
}

/** All work of one run is done in one child process, which starts while this one is still loading. */
export async function quantizeModel(
  request: QuantizeRequest,
  hooks: Hooks,
): Promise<QuantizeReport> {
  return withScratch(async (scratch) => {
    const endChild = shareChild(hooks.signal, scratch);
    try {
      const { quantize } = await import('./quantize.ts');
      return await quantize(request, scratch, hooks);
    } finally {
      await endChild();
    }
  });
}

export async function inspectModel(
  ...args: Parameters<FitService['inspectModel']>
): ReturnType<FitService['inspectModel']> {
  const inspect = await import('./inspect/inspect.ts');
  return inspect.inspectModel(...args);
}
