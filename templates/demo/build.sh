set -eu
echo "Building $(ls site | wc -l) entries of commit ${SLIPWAY_COMMIT:-unknown}"
mkdir -p public
cp -R site/. public/
for page in public/*.html; do
  sed "s/{{commit}}/$(printf %.7s "${SLIPWAY_COMMIT:-unknown}")/g" "$page" > "$page.new"
  mv "$page.new" "$page"
  echo "wrote $page"
done
