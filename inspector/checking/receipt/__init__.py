"""`inspector receipt`: whether a merged model has an adapter in it, at which strength, and what else was changed."""
