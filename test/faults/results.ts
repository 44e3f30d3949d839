import { appendFileSync } from 'node:fs';

/** Where scripts/test-faults.js collects what the suites have found. */
const OUTPUT = process.env['EDGEFIT_FAULTS_OUTPUT'];

export interface Results {
  readonly cases: number;
  readonly passed: number;
  readonly kills?: number;
  readonly invalid?: number;
  readonly lost?: number;
  readonly duplicateActivations?: number;
}

export function report(results: Results): void {
  if (OUTPUT !== undefined) appendFileSync(OUTPUT, `${JSON.stringify(results)}\n`);
}
