/** The measuring part, as the command line loads it (FitService). */
export { benchModel } from './bench.ts';
export { quantizeModel } from './quantize.ts';
export { inspectModel } from './inspect.ts';
