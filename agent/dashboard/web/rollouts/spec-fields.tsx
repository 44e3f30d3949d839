import type { ComponentChildren } from 'preact';
import type { Models } from '../../../contracts/dashboard.ts';
import { plural } from '../ui/format.ts';
import type { FormFields } from './spec-form.ts';

interface SpecFieldsProps {
  readonly fields: FormFields;
  readonly models: Models['models'];
  readonly problems: Readonly<Partial<Record<keyof FormFields, string>>>;
  readonly onChange: (changed: Partial<FormFields>) => void;
}

interface FieldProps {
  readonly name: keyof FormFields;
  readonly label: string;
  readonly hint?: string;
  readonly list?: string;
  readonly numeric?: boolean;
  /** What is written here is long. */
  readonly wide?: boolean;
  readonly form: SpecFieldsProps;
}

function Field({ name, label, hint, list, numeric, wide, form }: FieldProps) {
  const problem = form.problems[name];
  const describedBy = `${name}-hint`;
  return (
    <label class={wide === true ? 'field wide' : 'field'}>
      <span class="field-label">{label}</span>
      <input
        name={name}
        value={form.fields[name]}
        list={list}
        inputMode={numeric === true ? 'decimal' : undefined}
        autocomplete="off"
        spellcheck={false}
        aria-invalid={problem !== undefined}
        aria-describedby={describedBy}
        onInput={(event) => form.onChange({ [name]: event.currentTarget.value })}
      />
      <span id={describedBy} class={problem === undefined ? 'hint' : 'hint problem'}>
        {problem ?? hint}
      </span>
    </label>
  );
}

interface ChoiceProps {
  readonly name: keyof FormFields;
  readonly label: string;
  readonly options: readonly (readonly [value: string, name: string])[];
  readonly form: SpecFieldsProps;
}

function Choice({ name, label, options, form }: ChoiceProps) {
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      <select
        name={name}
        value={form.fields[name]}
        onChange={(event) => form.onChange({ [name]: event.currentTarget.value })}
      >
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function Group({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}) {
  return (
    <fieldset class="card">
      <legend>{title}</legend>
      <div class="fields">{children}</div>
    </fieldset>
  );
}

const ON_FAILED = [
  ['pause', 'Pause'],
  ['abort', 'Abort: take open jobs back'],
  ['rollback', 'Roll back what succeeded'],
] as const;

const PRECISIONS = [
  ['auto', 'Each device decides'],
  ['int8', 'int8'],
  ['fp16', 'fp16'],
  ['fp32', 'fp32'],
] as const;

export function SpecFields(form: SpecFieldsProps) {
  const versions = form.models.find((model) => model.name === form.fields.name)?.versions ?? [];
  return (
    <>
      <Group title="What and where">
        <Field name="name" label="Model" list="model-names" form={form} />
        <datalist id="model-names">
          {form.models.map(({ name }) => (
            <option key={name} value={name} />
          ))}
        </datalist>
        <Field name="version" label="Version" list="model-versions" form={form} />
        <datalist id="model-versions">
          {versions.map(({ version, devices }) => (
            <option key={version} value={version}>
              {plural(devices, 'device')}
            </option>
          ))}
        </datalist>
        <Choice name="precision" label="Precision" options={PRECISIONS} form={form} />
        <Field
          name="where"
          label="Where"
          wide
          hint="class=rpi-5 and tag=site-a; empty: every device"
          form={form}
        />
      </Group>
      <Group title="How fast">
        <Field
          name="waves"
          label="Waves, %"
          hint="of the devices, each with those before"
          form={form}
        />
        <Field
          name="canaryPerClass"
          label="Canaries per class"
          hint="go first, in a wave of their own"
          numeric
          form={form}
        />
        <Field
          name="soakMinutes"
          label="Soak, minutes"
          hint="how long a wave is watched"
          numeric
          form={form}
        />
        <Field
          name="windowCron"
          label="Window opens"
          hint="cron on the device: 0 2 * * *; empty: any time"
          form={form}
        />
        <Field name="windowMinutes" label="Window, minutes" numeric form={form} />
      </Group>
      <Group title="When it fails">
        <Field name="failedPercent" label="Failed, %" hint="of a wave, and" numeric form={form} />
        <Field
          name="failedCount"
          label="Failed, devices"
          hint="at least so many"
          numeric
          form={form}
        />
        <Choice name="onFailed" label="Then" options={ON_FAILED} form={form} />
      </Group>
    </>
  );
}
