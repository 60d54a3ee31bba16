/* What the page's part says, and in which language. The API speaks English. */

const TEXTS = {
  en: {
    frame: "Secure payment input frame",
    dialog: "3-D Secure authentication",
    cancel: "Cancel authentication",
    connection: CONNECTION,
    payment_intent_authentication_failure:
      "We are unable to authenticate your payment method. Please choose a different payment method and try again.",
  },
  de: {
    frame: "Sicherer Rahmen für Zahlungsdaten",
    dialog: "3-D-Secure-Bestätigung",
    cancel: "Bestätigung abbrechen",
    connection:
      "Die Verbindung zu unserem Zahlungsdienstleister ist gestört. Bitte prüfen Sie Ihre Internetverbindung und versuchen Sie es erneut.",
    payment_intent_authentication_failure:
      "Ihre Zahlungsmethode konnte nicht bestätigt werden. Bitte wählen Sie eine andere Zahlungsmethode und versuchen Sie es erneut.",
    card_declined: "Ihre Karte wurde abgelehnt.",
    insufficient_funds: "Ihre Karte ist nicht ausreichend gedeckt.",
    expired_card: "Ihre Karte ist abgelaufen.",
    incorrect_cvc: "Der Sicherheitscode Ihrer Karte ist falsch.",
    incorrect_number: "Ihre Kartennummer ist falsch.",
    processing_error: "Bei der Verarbeitung Ihrer Karte ist ein Fehler aufgetreten. Versuchen Sie es gleich noch einmal.",
    test_mode_live_card: "Ihre Karte wurde abgelehnt. In der Sandbox gelten nur Stripes Testkarten.",
  },
};

const FIELD_OF_CODE = {
  expired_card: "expiry",
  incorrect_cvc: "cvc",
  incorrect_number: "number",
  invalid_cvc: "cvc",
  invalid_expiry_month: "expiry",
  invalid_expiry_year: "expiry",
};

/** The language of the texts for an IETF tag or "auto". */
function languageOf(locale) {
  const tag = !locale || locale === "auto" ? navigator.language : locale;
  return tag.toLowerCase().startsWith("de") ? "de" : "en";
}

/** The error in the customer's language, as docs.stripe.com/js/appendix/localization says. */
function localized(error, language) {
  const texts = TEXTS[language];
  const connection = error.type === "api_connection_error" ? texts.connection : undefined;
  return { ...error, message: connection ?? texts[error.decline_code] ?? texts[error.code] ?? error.message };
}
