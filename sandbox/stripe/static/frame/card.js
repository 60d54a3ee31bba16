/* A card: how it is written, and what is wrong with it. */

const YEARS_AHEAD_MAX = 50;

const digitsOf = (text) => text.replace(/\D/g, "");

const isAmex = (digits) => /^3[47]/.test(digits);
const lengthOf = (digits) => (isAmex(digits) ? 15 : 16);

function grouped(digits) {
  const groups = isAmex(digits) ? /^(\d{1,4})(\d{1,6})?(\d{1,5})?/ : /^(\d{1,4})(\d{1,4})?(\d{1,4})?(\d{1,4})?/;
  return (groups.exec(digits) ?? []).slice(1).filter(Boolean).join(" ");
}

/** `12 / 30`; a month of one digit that can be no other gets its zero, a year of four digits loses its century. */
function dated(written, deleting) {
  let digits = digitsOf(written);
  if (/^[2-9]/.test(digits) || /^\d\s*\//.test(written)) digits = `0${digits}`;
  if (/^\d\d20\d\d/.test(digits)) digits = digits.slice(0, 2) + digits.slice(4);
  const [month, year] = [digits.slice(0, 2), digits.slice(2, 4)];
  return year || (month.length === 2 && !deleting) ? `${month} / ${year}` : month;
}

/** ISO/IEC 7812-1 annex B. */
function checksumHolds(digits) {
  const doubled = [...digits].reverse().map((digit, place) => Number(digit) * (1 + (place % 2)));
  return doubled.reduce((sum, value) => sum + Math.floor(value / 10) + (value % 10), 0) % 10 === 0;
}

/** What is wrong with a field of what was typed: a code of Stripe's, or null. */
const problems = {
  number({ number }) {
    const digits = digitsOf(number);
    if (digits.length < lengthOf(digits)) return "incomplete_number";
    return checksumHolds(digits) ? null : "invalid_number";
  },
  expiry({ expiry }) {
    const digits = digitsOf(expiry);
    if (digits.length < 4) return "incomplete_expiry";
    const [month, year] = [Number(digits.slice(0, 2)), 2000 + Number(digits.slice(2))];
    const today = new Date();
    const ahead = year - today.getFullYear();
    if (month < 1 || month > 12) return "invalid_expiry_month";
    if (ahead < 0) return "invalid_expiry_year_past";
    if (ahead > YEARS_AHEAD_MAX) return "invalid_expiry_year";
    return ahead === 0 && month <= today.getMonth() ? "invalid_expiry_month_past" : null;
  },
  cvc({ number, cvc }) {
    const length = isAmex(digitsOf(number)) ? 4 : 3;
    return cvc.length < length ? "incomplete_cvc" : null;
  },
};
