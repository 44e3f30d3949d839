import { useState } from 'preact/hooks';
import { messageOf } from '../../../util/errors.ts';
import { logIn } from '../api/client.ts';

/** Who are you. A wrong name and a wrong password read the same, as the server says it. */
export function LoginPage() {
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent & { readonly currentTarget: HTMLFormElement }) => {
    event.preventDefault();
    const form = event.currentTarget;
    const fields = new FormData(form);
    setBusy(true);
    setProblem(null);
    try {
      await logIn(textOf(fields.get('user')), textOf(fields.get('password')));
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
      form.querySelector<HTMLInputElement>('[name=password]')?.select();
    }
  };
  return (
    <main class="login">
      <form class="card" onSubmit={(event) => void submit(event)}>
        <h1>edgefit</h1>
        <label>
          User
          <input name="user" autocomplete="username" required autofocus maxLength={64} />
        </label>
        <label>
          Password
          <input
            name="password"
            type="password"
            autocomplete="current-password"
            required
            maxLength={1024}
          />
        </label>
        <p class="problem" role="alert">
          {problem}
        </p>
        <button type="submit" class="button primary" disabled={busy}>
          Log in
        </button>
      </form>
    </main>
  );
}

function textOf(value: FormDataEntryValue | null): string {
  return typeof value === 'string' ? value : '';
}
