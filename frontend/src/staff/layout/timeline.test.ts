import i18next from "i18next";
import { describe, expect, test } from "vitest";
import { inWords, merged, told } from "./timeline";

i18next.init({ lng: "en" });

const at = (second: number) => `2027-01-01T10:00:0${second}.000Z`;

describe("a booking's timeline", () => {
  test("is merged by time, and at one instant in the order in which services hear of each other", () => {
    const entries = merged([
      ...told("refund", "r", [{ at: at(3), what: "approved", by: "ada", detail: {} }], "/staff/refunds/r"),
      ...told("payment", "p", [{ at: at(1), what: "authorized", by: null, detail: {} }]),
      ...told("booking", "b", [
        { at: at(0), what: "placed", by: "customer", detail: {} },
        { at: at(1), what: "authorized", by: null, detail: {} },
      ]),
    ]);
    expect(entries.map(({ service, what }) => `${service} ${what}`)).toEqual([
      "booking placed",
      "booking authorized",
      "payment authorized",
      "refund approved",
    ]);
    expect(entries.at(-1)?.to).toBe("/staff/refunds/r");
  });

  test("takes a fraction of a second for what it is, however many digits a service writes", () => {
    const later = told("booking", "b", [{ at: "2027-01-01T10:00:00.5Z", what: "later", by: null, detail: {} }]);
    const earlier = told("refund", "r", [{ at: "2027-01-01T10:00:00.123456Z", what: "earlier", by: null, detail: {} }]);
    expect(merged([...later, ...earlier]).map(({ what }) => what)).toEqual(["earlier", "later"]);
  });

  test("says amounts, codes and ids as a person reads them, and leaves out what is not there", () => {
    const detail = {
      amount: { amount_minor: 5000, currency: "EUR" },
      code: "insufficient_funds",
      refund_id: "01a213b4-eb97-78e6-9e62-8c66bb732f65",
      had_succeeded: true,
      waits_for: null,
    };
    expect(inWords(detail)).toBe("amount €50.00, code insufficient funds, refund id …bb732f65, had succeeded yes");
  });

  test("keeps ids and hashes apart from what staff read", () => {
    const detail = { policy_hash: "5f0c", ticket_ids: ["a", "b"], outcome: "ended" };
    const [entry] = told("booking", "b", [{ at: at(0), what: "cancelled", by: null, detail }]);
    expect(entry?.more).toBe("tickets 2, outcome ended");
    expect(entry?.ids).toBe("policy hash 5f0c, ticket ids a and b");
  });

  test("does not repeat the booking that it is of", () => {
    const [entry] = told("payment", "p", [{ at: at(0), what: "opened", by: null, detail: { booking_id: "b" } }]);
    expect(entry?.more).toBe("");
  });
});
