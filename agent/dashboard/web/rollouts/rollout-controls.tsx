import { useState } from 'preact/hooks';
import type { RolloutAction } from '../../../contracts/dashboard.ts';
import type { Rollout, RolloutState } from '../../../contracts/rollout.ts';
import { actOnRollout } from '../api/client.ts';
import { session, whyNot } from '../state/session.ts';
import { useStore } from '../state/store.ts';
import { ActionButton } from '../ui/action-button.tsx';
import { Confirm } from '../ui/confirm.tsx';
import { plural } from '../ui/format.ts';
import { notify } from '../ui/notices.tsx';

interface Control {
  readonly action: RolloutAction;
  readonly name: string;
  readonly states: readonly RolloutState[];
  readonly title: string;
  readonly text: string;
  readonly danger?: boolean;
}

const CONTROLS: readonly Control[] = [
  {
    action: 'approve',
    name: 'Approve',
    states: ['draft', 'planned'],
    title: 'Approve and start this rollout?',
    text: 'The first wave gets its jobs at once.',
  },
  {
    action: 'pause',
    name: 'Pause',
    states: ['approved', 'running'],
    title: 'Pause this rollout?',
    text: 'No more jobs are handed out. Devices that have one go on with it.',
  },
  {
    action: 'resume',
    name: 'Resume',
    states: ['paused'],
    title: 'Resume this rollout?',
    text: 'The wave that was under way goes on; its limits are checked first.',
  },
  {
    action: 'abort',
    name: 'Abort',
    states: ['draft', 'planned', 'approved', 'running', 'paused'],
    title: 'Abort this rollout?',
    text: 'Open jobs are taken back, and it cannot be resumed. Devices that have succeeded keep the new version.',
    danger: true,
  },
  {
    action: 'rollback',
    name: 'Roll back',
    states: ['running', 'paused', 'completed', 'aborted'],
    title: 'Roll this rollout back?',
    text: 'It is aborted, and every device that has succeeded goes back to the version that it ran before.',
    danger: true,
  },
];

interface ControlsProps {
  readonly rollout: Rollout;
  readonly onChange: (rollout: Rollout) => void;
}

export function RolloutControls({ rollout, onChange }: ControlsProps) {
  const refused = whyNot(useStore(session));
  const [asked, setAsked] = useState<Control | null>(null);
  const [reason, setReason] = useState('');
  const act = async ({ action, name }: Control) => {
    const text = reason.trim();
    const answer = await actOnRollout(rollout.rolloutId, action, text === '' ? undefined : text);
    onChange(answer.rollout);
    notify('done', `${name}: the rollout is ${answer.rollout.state}`);
  };
  const shown = CONTROLS.filter((control) => control.states.includes(rollout.state));
  return (
    <div class="actions" role="group" aria-label="Actions">
      {shown.map((control) => (
        <ActionButton
          key={control.action}
          name={control.name}
          title={control.title}
          danger={control.danger}
          refused={refused}
          onAsk={() => {
            setReason('');
            setAsked(control);
          }}
        />
      ))}
      {asked !== null && (
        <Confirm
          title={asked.title}
          verb={asked.name}
          danger={asked.danger === true}
          act={() => act(asked)}
          onClose={() => setAsked(null)}
        >
          <p>{asked.text}</p>
          <p>
            <strong class="mono">{rollout.rolloutId}</strong>,{' '}
            {plural(rollout.counts.targets, 'device')}
          </p>
          <label class="field">
            <span class="field-label">Reason, for the record</span>
            <input
              value={reason}
              maxLength={500}
              onInput={(event) => setReason(event.currentTarget.value)}
            />
          </label>
        </Confirm>
      )}
    </div>
  );
}
