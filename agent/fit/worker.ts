import { calibrationHandlers } from './worker/calibration.ts';
import { judgingHandlers } from './worker/judging.ts';
import { measuringHandlers } from './worker/measuring.ts';
import { modelHandlers } from './worker/models.ts';
import { scoringHandlers } from './worker/scoring.ts';

/**
 * What runs in child processes: everything that loads a native library. Modules that only one of the
 * handlers needs are imported there, so that the memory of a benchmark is the model's own.
 */
export const handlers = {
  ...modelHandlers,
  ...calibrationHandlers,
  ...judgingHandlers,
  ...scoringHandlers,
  ...measuringHandlers,
};
