export const en = {
  name: "Boxoffice",
  language: "Language",
  skip: "Skip to the content",
  loading: "Loading",
  retry: "Try again",
  nothing: {
    title: "There is nothing here",
    text: "The address may be mistyped, or what was here is over.",
    home: "See all events",
  },
  failure: {
    title: "Something went wrong",
    unreachable: "The box office cannot be reached right now. This page tries again by itself.",
    busy: "This part is not available right now. This page tries again by itself.",
    unexpected: "An error that we did not expect. Nothing was lost; reload the page to go on.",
    reload: "Reload",
  },
};

/** The same keys with other sentences. */
export type Texts = { [Key in keyof typeof en]: Same<(typeof en)[Key]> };
type Same<Part> = Part extends string ? string : { [Key in keyof Part]: Same<Part[Key]> };
