import { randomBytes } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import {
  createRolloutSchema,
  planSchema,
  rolloutActions,
  rolloutActionSchema,
} from '../../../contracts/dashboard.ts';
import { ID_PATTERN } from '../../../contracts/ids.ts';
import type { Rollout } from '../../../contracts/rollout.ts';
import { checked } from '../checked.ts';
import { ApiFailure } from '../error.ts';
import type { FleetView, Operator } from '../ports.ts';
import { operatorOf } from './fleet.ts';

export interface RolloutParts {
  readonly fleet: FleetView;
  readonly operator: Operator | null;
  readonly nowMs: () => number;
}

const id = z.string().regex(ID_PATTERN, 'it is no rollout id');
const idSchema = z.object({ id });
const actionSchema = z.object({ id, action: z.enum(rolloutActions) });

/** Everything about rollouts. What changes one goes to the controller, signed. */
export function addRolloutRoutes(app: FastifyInstance, parts: RolloutParts): void {
  const { fleet } = parts;
  const viewer = { config: { access: 'viewer' } } as const;
  const operator = { config: { access: 'operator' } } as const;
  app.get('/api/rollouts', viewer, () => ({ rollouts: newestFirst(fleet.rollouts()) }));
  app.get('/api/rollouts/:id', viewer, ({ params }) => {
    const { id: rolloutId } = checked(idSchema, params);
    const rollout = fleet.rollout(rolloutId);
    if (rollout !== null) return { rollout };
    throw new ApiFailure('not_found', `there is no rollout ${rolloutId}`);
  });
  app.post('/api/rollouts/plan', operator, async ({ body, identity }) => {
    const { spec } = checked(planSchema, body);
    return { rollout: await operatorOf(parts).plan(spec, identity?.user ?? '') };
  });
  app.post('/api/rollouts', operator, async ({ body, identity }) => {
    const { rolloutId = newId(parts.nowMs()), ...rest } = checked(createRolloutSchema, body);
    const wanted = { rolloutId, ...rest };
    return { rollout: await operatorOf(parts).create(wanted, identity?.user ?? '') };
  });
  app.post('/api/rollouts/:id/:action', operator, async ({ params, body, identity }) => {
    const { id: rolloutId, action } = checked(actionSchema, params);
    const { reason } = checked(rolloutActionSchema, body);
    const actor = identity?.user ?? '';
    return { rollout: await operatorOf(parts).command(rolloutId, action, reason, actor) };
  });
}

function newestFirst(rollouts: readonly Rollout[]): readonly Rollout[] {
  return rollouts.toSorted((a, b) => Date.parse(b.createdAt) - Date.parse(a.createdAt));
}

/** Such as `r-20261126-3f9c`: it can be read aloud. */
function newId(nowMs: number): string {
  const day = new Date(nowMs).toISOString().slice(0, 10).replaceAll('-', '');
  return `r-${day}-${randomBytes(3).toString('hex')}`;
}
