// @ts-check
// The contracts that what comes out has to satisfy.
import { join } from 'node:path';

/**
 * @typedef {object} Schemas
 * @property {typeof import('../../agent/contracts/facts.ts').factsSchema} facts
 * @property {typeof import('../../agent/contracts/doctor.ts').doctorSchema} doctor
 * @property {typeof import('../../agent/contracts/bench.ts').benchSchema} bench
 * @property {typeof import('../../agent/contracts/messages.ts').birthSchema} birth
 */

/**
 * @param {string} home a package that is built
 * @returns {Promise<Schemas>}
 */
export async function loadSchemas(home) {
  /** @param {string} name */
  const load = (name) => import(join(home, 'dist/agent/contracts', `${name}.js`));
  /** @type {typeof import('../../agent/contracts/facts.ts')} */
  const { factsSchema } = await load('facts');
  /** @type {typeof import('../../agent/contracts/doctor.ts')} */
  const { doctorSchema } = await load('doctor');
  /** @type {typeof import('../../agent/contracts/bench.ts')} */
  const { benchSchema } = await load('bench');
  /** @type {typeof import('../../agent/contracts/messages.ts')} */
  const { birthSchema } = await load('messages');
  return { facts: factsSchema, doctor: doctorSchema, bench: benchSchema, birth: birthSchema };
}
