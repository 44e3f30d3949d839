import { useState } from 'preact/hooks';
import type { Rollout } from '../../../contracts/rollout.ts';
import { messageOf } from '../../../util/errors.ts';
import { createRollout, getModels, planRollout } from '../api/client.ts';
import { goTo, linkTo } from '../state/router.ts';
import { session, whyNot } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { notify } from '../ui/notices.tsx';
import { useLoaded } from '../ui/use-loaded.ts';
import { PlanPreview } from './plan-preview.tsx';
import { EMPTY_FORM, readForm, type FormFields } from './spec-form.ts';
import { SpecFields } from './spec-fields.tsx';

interface Doing {
  readonly busy: boolean;
  readonly problem: string | null;
}

const IDLE: Doing = { busy: false, problem: null };

/** The form of a new rollout: nothing is created before its plan was seen. */
export function NewRolloutPage() {
  const refused = whyNot(useStore(session));
  const { value: models } = useLoaded('models', getModels);
  const [fields, setFields] = useState<FormFields>(EMPTY_FORM);
  const [plan, setPlan] = useState<Rollout | null>(null);
  const [doing, setDoing] = useState<Doing>(IDLE);
  const [tried, setTried] = useState(false);
  const form = readForm(fields, models?.models ?? []);
  const change = (changed: Partial<FormFields>) => {
    setFields((before) => ({ ...before, ...changed }));
    // A plan of something else would mislead.
    setPlan(null);
  };
  const run = async (work: () => Promise<void>) => {
    setDoing({ busy: true, problem: null });
    try {
      await work();
      setDoing(IDLE);
    } catch (error) {
      setDoing({ busy: false, problem: messageOf(error) });
    }
  };
  const preview = (event: SubmitEvent) => {
    event.preventDefault();
    setTried(true);
    const { spec } = form;
    if (spec === null) return;
    void run(async () => setPlan((await planRollout(spec)).rollout));
  };
  const create = (approve: boolean) => {
    const { spec } = form;
    if (spec === null) return;
    void run(async () => {
      const { rollout } = await createRollout(spec, approve);
      notify('done', `Rollout ${rollout.rolloutId} is ${rollout.state}`);
      goTo(linkTo(['rollouts', rollout.rolloutId]));
    });
  };
  return (
    <div class="page">
      <p class="crumb">
        <a href={linkTo(['rollouts'])}>Rollouts</a> / new
      </p>
      <h1>New rollout</h1>
      {refused !== null && <p class="note bad">{refused}.</p>}
      <form class="rollout-form" onSubmit={preview} noValidate>
        <SpecFields
          fields={fields}
          models={models?.models ?? []}
          problems={tried ? (form.problems ?? {}) : {}}
          onChange={change}
        />
        <div class="form-buttons">
          <button type="submit" class="button primary" disabled={doing.busy || refused !== null}>
            Preview the plan
          </button>
        </div>
      </form>
      {doing.problem !== null && (
        <p class="problem" role="alert">
          {doing.problem}
        </p>
      )}
      {plan !== null && (
        <PlanPreview plan={plan}>
          <div class="form-buttons">
            <button
              type="button"
              class="button"
              disabled={doing.busy}
              onClick={() => create(false)}
            >
              Create
            </button>
            <button
              type="button"
              class="button primary"
              disabled={doing.busy}
              onClick={() => create(true)}
            >
              Create and start
            </button>
          </div>
        </PlanPreview>
      )}
    </div>
  );
}
