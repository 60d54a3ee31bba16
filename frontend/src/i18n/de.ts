import type { Texts } from "./en";

export const de: Texts = {
  name: "Boxoffice",
  language: "Sprache",
  skip: "Zum Inhalt springen",
  loading: "Wird geladen",
  retry: "Erneut versuchen",
  nothing: {
    title: "Hier ist nichts",
    text: "Die Adresse ist vielleicht falsch, oder was hier war, ist vorbei.",
    home: "Alle Veranstaltungen",
  },
  failure: {
    title: "Etwas ist schiefgegangen",
    unreachable: "Die Kasse ist gerade nicht erreichbar. Diese Seite versucht es von selbst wieder.",
    busy: "Dieser Teil ist gerade nicht verfügbar. Diese Seite versucht es von selbst wieder.",
    unexpected:
      "Ein Fehler, mit dem wir nicht gerechnet haben. Nichts ist verloren; laden Sie die Seite neu, um fortzufahren.",
    reload: "Neu laden",
  },
};
