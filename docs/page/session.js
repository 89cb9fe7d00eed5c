// Signing in on the page, with a cookie that no script can read: calls that are tried are then the person's.
const form = document.querySelector('#sign-in');
const secondFactor = document.querySelector('#second-factor');
const signedIn = document.querySelector('#signed-in');
const message = document.querySelector('#session-message');
// Whose session it was when the page was last open; without it nobody is asked for at all.
const KEPT = 'finlink-person';

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const { name, password } = form.elements;
  const typed = name.value.trim();
  const field = typed.includes('@') ? 'email' : typed.startsWith('+') ? 'phoneNumber' : 'username';
  const fields = { [field]: typed, password: password.value, session: 'cookie', deviceName: 'API page' };
  const data = (await call('POST', 'login', fields)) ?? {};
  password.value = '';
  if (data.challenge !== undefined) ask(data.challenge.challengeId);
  else if (data.user !== undefined) show(data.user);
});

secondFactor.addEventListener('submit', async (event) => {
  event.preventDefault();
  const code = secondFactor.elements.code.value.trim();
  const solution = /^\d{6}$/.test(code) ? { totp: code } : { recoveryCode: code };
  const data = await call('POST', 'second-factor', { challengeId: secondFactor.dataset.challenge, ...solution });
  secondFactor.reset();
  if (data?.user !== undefined) show(data.user);
});

function ask(challengeId) {
  secondFactor.dataset.challenge = challengeId;
  secondFactor.hidden = false;
  form.hidden = true;
  secondFactor.elements.code.focus();
}

signedIn.querySelector('button').addEventListener('click', async () => {
  if ((await call('POST', 'logout', {})) !== undefined) show(null);
});

function show(user) {
  if (user === null) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, JSON.stringify({ userId: user.userId, role: user.role }));
  form.hidden = user !== null;
  secondFactor.hidden = true;
  signedIn.hidden = user === null;
  signedIn.querySelector('span').textContent = user === null ? '' : `Signed in as ${user.userId} (${user.role}).`;
}

// The data of a reply; undefined if it was refused, with the reason on the page.
async function call(method, path, body) {
  message.textContent = '';
  try {
    const reply = await fetch(`/api/v1/auth/${path}`, {
      method,
      ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    const content = await reply.json();
    if (reply.ok) return content.data ?? {};
    message.textContent = `${content.error.message}.`;
  } catch {
    message.textContent = 'Finlink cannot be reached.';
  }
  return undefined;
}

if (localStorage.getItem(KEPT) !== null) {
  call('GET', 'me').then((user) => show(user ?? null));
}
