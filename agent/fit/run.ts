import { FitError } from './errors.ts';
import type { FitService } from './types.ts';

/** Measuring is wired to models, runtimes and quantizers here. */
const missing = async () => {
  const message = 'this build has no measuring part: use a released version';
  throw new FitError('no-runtime', message, { kind: 'failure' });
};

export const benchModel: FitService['benchModel'] = missing;
export const quantizeModel: FitService['quantizeModel'] = missing;
